"""The registry behind @hotplate.warmup."""

import inspect
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

import hotplate
from hotplate.apps import warmups
from hotplate.errors import ExitCode, HotplateError


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    """Begin and end with nothing registered."""
    warmups.forget()
    yield
    warmups.forget()


def test_runs_in_the_order_of_registration() -> None:
    """Plain and async functions run in the order in which they were registered, under their names."""
    seen: list[str] = []

    @hotplate.warmup
    def first() -> None:
        seen.append("first")

    @hotplate.warmup(name="prices")
    async def second() -> None:
        seen.append("second")

    for item in warmups.registered():
        warmups.run(item)
    assert seen == ["first", "second"]
    assert [item.name.rpartition(".")[2] for item in warmups.registered()] == ["first", "prices"]
    assert first.__name__ == "first"


def test_each_of_many_like_functions_is_kept() -> None:
    """Functions made in a loop share a name, and all of them run."""
    for _ in range(3):
        hotplate.warmup(lambda: None)
    assert len(warmups.registered()) == 3


def test_a_coroutine_is_finished_where_it_is_wanted() -> None:
    """A worker can run async functions on its own loop."""
    handed: list[bool] = []

    def finish(work: Coroutine[Any, Any, object]) -> None:
        handed.append(inspect.iscoroutine(work))
        work.close()

    @hotplate.warmup
    async def later() -> None: ...

    warmups.run(warmups.registered()[0], finish)
    assert handed == [True]


@pytest.mark.parametrize("is_async", [False, True])
def test_failure_names_function_and_place(is_async: bool) -> None:
    """A warm-up that raises is reported with its name, the last line of its traceback, and where it was."""
    if is_async:

        @hotplate.warmup(name="model")
        async def load_async() -> None:
            raise OSError("no disk")

    else:

        @hotplate.warmup(name="model")
        def load() -> None:
            raise OSError("no disk")

    with pytest.raises(HotplateError) as caught:
        warmups.run(warmups.registered()[0])
    assert caught.value.code is ExitCode.WARMUP_FAILED
    assert "warm up with model: OSError: no disk" in str(caught.value)
    assert "test_warmups.py, line" in str(caught.value)
    assert caught.value.detail.endswith("OSError: no disk")


def test_a_function_that_wants_arguments_is_refused() -> None:
    """What cannot be called with nothing is refused where it is registered."""
    with pytest.raises(TypeError, match="wants path"):

        @hotplate.warmup  # type: ignore[type-var]  # the mistake under test
        def load(path: str) -> None: ...
