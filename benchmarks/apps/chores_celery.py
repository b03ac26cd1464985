"""The chores as Celery's and Kombu's documentation has them: a broker's URL, and all else as it comes.

Redis: Celery docs, Using Redis. Filesystem: kombu.transport.filesystem, whose two folders are one where sender and
worker are on the same machine. SQLAlchemy: kombu.transport.sqlalchemy.
"""

from __future__ import annotations

import os

from celery import Celery

from benchmarks.apps import chores

__all__ = ["celery", "chores"]

celery = Celery("chores", broker=os.environ["CHORES_BROKER"])
folder = os.environ.get("CHORES_FOLDER")
if folder:
    celery.conf.broker_transport_options = {"data_folder_in": folder, "data_folder_out": folder}
celery.set_default()
