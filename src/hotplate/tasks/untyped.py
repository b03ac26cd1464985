"""Names for what Celery and Kombu hand over; they ship no types, so a name is all that a reader gets."""

from typing import Any, TypeAlias

App: TypeAlias = Any  # a celery.Celery, ours or another's
Conf: TypeAlias = Any  # a celery.app.utils.Settings
Job: TypeAlias = Any  # a celery.Task
Result: TypeAlias = Any  # a celery.result.AsyncResult, or EagerResult
Value: TypeAlias = Any  # an argument, a result or a setting: whatever its user chose
