"""A result that is too large fails its task clearly, in a Redis as in the embedded file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from celery import chord, signals
from celery.contrib.testing import worker as testing
from kombu.exceptions import EncodeError

from hotplate.tasks.app import Application
from hotplate.tasks.embedded.fitting import ResultTooLargeError
from hotplate.tasks.keeping import limit
from tests.support.waiting import DEADLINE

pytestmark = pytest.mark.redis

LIMIT = 100_000
_chord: Any = chord  # without types
_testing: Any = testing


@pytest.fixture
def app(redis_url: str) -> Iterator[Application]:
    """An app on a Redis, and a worker of it in threads of this process."""
    app = Application("large", broker=redis_url, backend=redis_url, set_as_current=False)
    app.conf.update(hotplate_result_limit=LIMIT, worker_hijack_root_logger=False)

    @app.task(name="letters")
    def letters(count: int, _padding: str = "") -> str:
        return "x" * count

    @app.task(name="fail")
    def fail(words: str) -> None:
        raise ValueError(words)

    @app.task(name="total")
    def total(parts: list[str]) -> int:
        return len("".join(parts))

    app.finalize()
    leave_logging_alone = Mock()  # Celery's worker would change what later tests log, too
    signals.setup_logging.connect(leave_logging_alone, weak=False)
    with _testing.start_worker(app, pool="threads", concurrency=2, perform_ping_check=False, shutdown_timeout=60):
        yield app
    signals.setup_logging.disconnect(leave_logging_alone)
    app.close()


def test_a_result_that_is_too_large_fails_its_task_with_words_that_help(app: Application) -> None:
    """Its size, the limit and what to do instead are said; smaller ones are kept, whatever the arguments took."""
    result = app.send_task("letters", (2 * LIMIT,))
    with pytest.raises(ResultTooLargeError, match=r"200,\d{3} bytes .* 100,000 bytes .* return its key"):
        result.get(timeout=DEADLINE)
    assert app.send_task("letters", (LIMIT // 2, "y" * LIMIT)).get(timeout=DEADLINE) == "x" * (LIMIT // 2)


def test_what_a_failure_says_is_cut(app: Application) -> None:
    """It is a failure still, of its kind, with the beginning of its message."""
    with pytest.raises(ValueError, match=r"^no luck") as raised:
        app.send_task("fail", ("no luck " * LIMIT,)).get(timeout=DEADLINE)
    assert len(str(raised.value)) < LIMIT


def test_a_part_that_is_too_large_fails_its_chord(app: Application) -> None:
    """Whoever waits for the whole is told."""
    letters, total = (app.signature(name) for name in ("letters", "total"))
    assert _chord([letters.clone((10,)), letters.clone((20,))], total).apply_async().get(timeout=DEADLINE) == 30
    with pytest.raises(Exception, match="return its key"):
        _chord([letters.clone((10,)), letters.clone((2 * LIMIT,))], total).apply_async().get(timeout=DEADLINE)


@pytest.mark.parametrize("url", ["cache+memory://", "file:///{}"])
def test_any_other_store(url: str, tmp_path: object) -> None:
    """Whichever of Celery's stores an app has."""
    app = Application("elsewhere", broker="memory://", backend=url.format(tmp_path), set_as_current=False)
    app.conf.update(hotplate_result_limit=LIMIT)
    app.backend.store_result("small", "x", "SUCCESS")
    with pytest.raises(ResultTooLargeError):
        app.backend.store_result("large", "x" * LIMIT, "SUCCESS")
    assert (app.AsyncResult("small").get(), app.AsyncResult("large").state) == ("x", "PENDING")


def test_where_nothing_is_kept_nothing_is_too_large() -> None:
    """An app that keeps no results may return what it likes."""
    app = Application("nowhere", broker="memory://", backend="disabled://", set_as_current=False)
    app.conf.update(hotplate_result_limit=1)
    app.backend.store_result("any", "x" * 100, "SUCCESS")


def test_what_json_does_not_know_is_the_stores_business() -> None:
    """A store may keep it in another form; it says so itself if it does not."""

    class Store:
        kept: Any = None

        def store_result(self, _task: str, result: object, _state: str, **_: object) -> None:
            self.kept = result

        def encode_result(self, result: object, _state: str) -> object:
            return result

        def encode(self, _data: object) -> str:
            raise EncodeError

    store, strange = Store(), object()
    limit(store, LIMIT)
    store.store_result("any", strange, "SUCCESS")
    assert store.kept is strange
