"""The store of results as an app of ours has it: certificates are checked, sizes are limited, whatever keeps results.

What the embedded file promises about sizes (`hotplate.tasks.embedded.fitting`) holds for every store of Celery's.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable

from celery.backends.base import DisabledBackend
from kombu.exceptions import EncodeError

from hotplate.tasks import retrying, sending
from hotplate.tasks.defaults import RESULT_LIMIT
from hotplate.tasks.embedded.fitting import ResultTooLargeError, as_bytes, fitted
from hotplate.tasks.untyped import App, Value


def store(app: App, make: Callable[[], Value]) -> Value:
    """Return a store of results.

    Args:
        app: our Celery app.
        make: makes the store that the app's settings name.
    """
    _check_certificates(app)
    backend = make()
    sending.settle(app, backend)
    retrying.once(backend)
    # The embedded one counts by itself, and there is nothing to count where nothing is kept.
    if not isinstance(backend, DisabledBackend) and not type(backend).__module__.startswith("hotplate."):
        limit(backend, int(app.conf.get("hotplate_result_limit") or RESULT_LIMIT))
    return backend


def limit(backend: Value, most: int) -> None:
    """Have a store of results refuse those that are too large, and cut what is too long to say of a failure.

    Args:
        backend: Celery's.
        most: bytes.
    """
    keep = backend.store_result

    def store_result(
        task_id: str, result: Value, state: str, traceback: Value = None, request: Value = None, **more: Value
    ) -> Value:
        meta = {"result": backend.encode_result(result, state), "traceback": traceback}
        try:
            value = as_bytes(backend.encode(meta))
            if len(value) > most:
                kept = backend.decode(fitted(meta, state, backend.encode, most))
                result, traceback = kept["result"], kept["traceback"]
        except ResultTooLargeError:
            raise
        except EncodeError:
            pass  # the store may keep what has no such form, and says so if it does not
        return keep(task_id, result, state, traceback=traceback, request=request, **more)

    backend.store_result = store_result


def _check_certificates(app: App) -> None:
    """Say that certificates are checked, where nothing else is said: Celery refuses rediss:// without a word on it."""
    conf = app.conf
    url = str(app.backend_cls or conf.result_backend or "")
    given = conf.redis_backend_use_ssl or {}
    if url.lower().startswith("rediss://") and "ssl_cert_reqs" not in url and "ssl_cert_reqs" not in given:
        conf.redis_backend_use_ssl = {**given, "ssl_cert_reqs": ssl.CERT_REQUIRED}
