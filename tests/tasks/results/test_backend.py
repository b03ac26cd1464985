"""Celery's promises about results, kept by the embedded file; real tasks, run by a worker in threads."""

from __future__ import annotations

import json
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from celery import Celery, chain, chord, group
from celery.exceptions import ChordError, ImproperlyConfigured
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import GroupResult

from hotplate.tasks.embedded import results
from hotplate.tasks.embedded.fitting import ResultTooLargeError
from hotplate.tasks.embedded.results import Backend
from tests.support.waiting import DEADLINE, wait_until

pytestmark = pytest.mark.usefixtures("worker")


def test_a_result_is_what_the_task_returned(app: Celery) -> None:
    """State, value, and what else is known of a task."""
    result = app.tasks["add"].delay(1, 2)
    assert result.get(timeout=DEADLINE) == 3
    assert result.state == "SUCCESS"
    assert (result.name, result.args, result.date_done is not None) == ("add", [1, 2], True)
    assert result.exists()


def test_an_exception_comes_back_as_itself(app: Celery) -> None:
    """Who waits for a task that failed gets its exception, or a look at it."""
    result = app.tasks["fail"].delay("for a reason")
    with pytest.raises(ValueError, match="for a reason"):
        result.get(timeout=DEADLINE)
    assert result.state == "FAILURE"
    assert "ValueError" in result.traceback


def test_a_forgotten_result_is_as_if_it_had_never_been(app: Celery) -> None:
    """`forget()` frees its place."""
    result = app.tasks["add"].delay(1, 2)
    result.get(timeout=DEADLINE)
    result.forget()
    assert (result.state, result.exists()) == ("PENDING", False)


def test_who_waits_in_vain_is_told_in_time(app: Celery) -> None:
    """A timeout is a TimeoutError of Celery's."""
    with pytest.raises(CeleryTimeoutError):
        app.AsyncResult("never").get(timeout=0.05)
    with pytest.raises(CeleryTimeoutError):
        app.AsyncResult("never").get(timeout=0)
    with pytest.raises(CeleryTimeoutError):
        GroupResult("g", [app.AsyncResult("never")], app=app).get(timeout=0.05)


def test_who_waits_is_woken(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result arrives by a datagram: with looks an hour apart, nobody waits for one."""
    monkeypatch.setattr(results, "_CALM", 3600.0)
    results_of = [app.tasks["add"].delay(number, 0) for number in range(20)]
    assert [result.get(timeout=DEADLINE, interval=3600) for result in results_of] == list(range(20))
    many = group(app.tasks["add"].s(number, 0) for number in range(20))()
    assert many.get(timeout=DEADLINE, interval=3600) == list(range(20))


def test_groups_are_joined_saved_and_restored(app: Celery) -> None:
    """A group's results are in its order, for whoever has its id."""
    made = group(app.tasks["add"].s(number, number) for number in range(120))()
    made.save()
    found = GroupResult.restore(made.id, app=app)
    assert found.join_native(timeout=DEADLINE) == [2 * number for number in range(120)]
    assert dict(found.iter_native(timeout=DEADLINE)).keys() == {result.id for result in found.results}
    found.delete()
    assert GroupResult.restore(made.id, app=app, backend=Backend(app, app.backend.url)) is None


def test_a_chords_body_gets_all_results_in_order(app: Celery) -> None:
    """Flat headers, headers with groups within, empty ones, chains of chords."""
    add, total = app.tasks["add"], app.tasks["total"]
    assert chord([add.s(number, 1) for number in range(30)])(total.s()).get(timeout=DEADLINE) == sum(range(31))
    nested = chord([add.s(1, 1), group(add.s(2, 2), add.s(3, 3))])(total.s())
    assert nested.get(timeout=DEADLINE) == 12
    twice = chain(group(add.s(1, 1), add.s(2, 2)), total.s(), group(add.s(1), add.s(2)), total.s())()
    assert twice.get(timeout=DEADLINE) == 15
    assert chord([])(total.s()).get(timeout=DEADLINE) == 0


def test_a_chord_whose_header_fails_fails(app: Celery) -> None:
    """The body does not run, and says which task it was."""
    result = chord([app.tasks["add"].s(1, 1), app.tasks["fail"].s("in the header")])(app.tasks["total"].s())
    with pytest.raises(ChordError, match="in the header"):
        result.get(timeout=DEADLINE, follow_parents=False)


def test_a_result_that_is_too_large_fails_its_task_with_words_that_help(app: Celery) -> None:
    """The task fails, its message names size, limit and what to do, and the worker goes on."""
    with pytest.raises(ResultTooLargeError, match=r"200,\d{3} bytes .* 100,000 bytes .* return its key"):
        app.tasks["letters"].delay(200_000).get(timeout=DEADLINE)
    # As a whole it is larger than allowed; its arguments are left out, since they are not the result.
    assert app.tasks["letters"].delay(60_000, "y" * 60_000).get(timeout=DEADLINE) == "x" * 60_000
    with pytest.raises(ResultTooLargeError):
        app.tasks["report"].delay(200_000).get(timeout=DEADLINE)
    assert app.tasks["add"].delay(1, 2).get(timeout=DEADLINE) == 3


def test_an_exception_that_is_too_large_is_cut(app: Celery) -> None:
    """What a task failed with is known, if not to the last letter, even where its arguments are large, too."""
    result = app.tasks["fail"].delay("z" * 500_000)
    with pytest.raises(ValueError, match=r"^z{2000}$"):
        result.get(timeout=DEADLINE)


def test_a_part_that_is_too_large_fails_its_chord(app: Celery) -> None:
    """Nobody waits for a chord of which a part can never arrive."""
    result = chord([app.tasks["add"].s(1, 1), app.tasks["letters"].s(200_000)])(app.tasks["total"].s())
    with pytest.raises(ChordError, match="may be"):
        result.get(timeout=DEADLINE, follow_parents=False)


def test_threads_share_a_backend(app: Celery) -> None:
    """One backend serves all threads of a process, each waiting for its own."""
    backends = {id(app.backend)}

    def ask(number: int) -> int:
        backends.add(id(app.backend))
        return int(app.tasks["add"].delay(number, 0).get(timeout=DEADLINE))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(64))) == list(range(64))
    assert len(backends) == 1


def test_nobody_who_waited_leaves_anything(app: Celery) -> None:
    """Sockets of those who wait go with their waiting."""
    app.tasks["add"].delay(1, 2).get(timeout=DEADLINE)
    backend: Any = app.backend
    assert backend._watching._names() == ()


def test_what_is_kept_is_json(app: Celery) -> None:
    """Anybody can read what is kept, and nothing that is read is run."""
    result = app.tasks["add"].delay(1, 2)
    result.get(timeout=DEADLINE)
    backend: Any = app.backend
    assert json.loads(backend._table.load(result.id))["result"] == 3
    app.conf.result_serializer = "pickle"
    with pytest.raises(ImproperlyConfigured, match="JSON"):
        Backend(app, backend.url)


def test_a_compressed_result_is_the_same(app: Celery) -> None:
    """`result_compression` holds, and so more fits."""
    app.conf.result_compression = "gzip"
    app.tasks["letters"].backend = backend = Backend(app, str(app.backend.as_uri()))
    result = app.tasks["letters"].delay(500_000)
    assert app.AsyncResult(result.id, backend=backend).get(timeout=DEADLINE) == "x" * 500_000


def test_a_backend_can_be_sent_to_another_process(app: Celery) -> None:
    """Celery pickles signatures' backends for pools of its own; what arrives reads the same file."""
    app.set_current()
    result = app.tasks["add"].delay(1, 2)
    result.get(timeout=DEADLINE)
    made, arguments = app.backend.__reduce__()
    assert pickle.dumps(arguments)
    assert made(*arguments).get_result(result.id) == 3


def test_expired_results_are_deleted_while_tasks_run(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody needs a beat to get rid of old results: whoever stores new ones deletes a few."""
    monkeypatch.setattr(results, "_SWEEP", 0.0)
    backend: Any = app.backend
    backend._sweeps_at = 0.0
    backend._table.save("old", "SUCCESS", b"{}", -1)
    app.tasks["add"].delay(1, 2).get(timeout=DEADLINE)

    def rows() -> list[Any]:
        found: list[Any] = backend._table._ask("SELECT id FROM results WHERE id = 'old'", ())
        return found

    wait_until(lambda: not rows(), what="the old result is deleted")
    backend._table.save("old", "SUCCESS", b"{}", -1)
    backend.cleanup()
    assert not rows()


def test_an_interrupted_wait_can_be_begun_again(app: Celery) -> None:
    """A timeout loses nothing: the same result object gets its value later."""
    app.backend  # noqa: B018 - made before the thread
    result = app.AsyncResult("later")
    with pytest.raises(CeleryTimeoutError):
        result.get(timeout=0.01)
    threading.Timer(0.05, app.backend.store_result, ("later", 5, "SUCCESS")).start()
    assert result.get(timeout=DEADLINE) == 5
