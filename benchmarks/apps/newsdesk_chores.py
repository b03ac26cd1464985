"""Newsdesk, and tasks beside its own that take all the time they can get."""

from __future__ import annotations

from benchmarks.apps import chores
from newsdesk.app import app, celery

__all__ = ["app", "celery", "chores"]
