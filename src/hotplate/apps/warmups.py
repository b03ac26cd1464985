"""Functions that get an app warm before it serves, registered with `@hotplate.warmup`."""

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, TypeVar, overload

from hotplate.errors import ExitCode, HotplateError

Function = TypeVar("Function", bound=Callable[[], object])


class Warmup(NamedTuple):
    """A registered function and the name it has in messages."""

    name: str
    function: Callable[[], object]


_registered: list[Warmup] = []


@overload
def warmup(function: Function, /) -> Function: ...


@overload
def warmup(*, name: str = "") -> Callable[[Function], Function]: ...


def warmup(function: Function | None = None, /, *, name: str = "") -> Function | Callable[[Function], Function]:
    """Run a function in every worker before it takes its first connection, in the order of registration.

    Args:
        function: takes nothing; may be `async`. If it raises, the start or the reload is stopped and the old version,
            if there is one, goes on serving.
        name: what messages call it; by default module and function name.

    Raises:
        TypeError: the function wants arguments.

    Example:
        >>> @warmup
        ... def load_model() -> None: ...
        >>> @warmup(name="prices")
        ... async def fetch_prices() -> None: ...
    """
    if function is None:
        return lambda decorated: _register(decorated, name)
    return _register(function, name)


def registered() -> tuple[Warmup, ...]:
    """Return the registered functions in the order in which they run."""
    return tuple(_registered)


def forget() -> None:
    """Forget every registered function, for tests and for importing another app into the same process."""
    _registered.clear()


def run(item: Warmup, finish: Callable[[Coroutine[Any, Any, object]], object] | None = None) -> None:
    """Run one function in this thread.

    Args:
        item: the function.
        finish: runs the coroutine of an `async` function to its end; by default `asyncio.run`. A worker, whose loop
            runs in another thread, hands it over there and waits.

    Raises:
        HotplateError: WARMUP_FAILED with the exception's last line and the user's trimmed traceback.
    """
    try:
        result = item.function()
        if isinstance(result, Coroutine):
            _run_coroutine(result, finish)
    except (Exception, SystemExit) as problem:
        raise failure(item.name, problem) from problem


def failure(name: str, problem: BaseException) -> HotplateError:
    """Return the error for a warm-up function that raised `problem`."""
    from hotplate.apps import frames

    where = frames.place(problem)
    return HotplateError(
        f"warm up with {name}",
        frames.headline(problem) + (f" ({where})" if where else ""),
        "Correct the function, or take @hotplate.warmup off it.",
        code=ExitCode.WARMUP_FAILED,
        detail=frames.trimmed(problem),
    )


def _register(function: Function, name: str) -> Function:
    from hotplate.apps.kind import required_arguments

    module, qualified = getattr(function, "__module__", ""), getattr(function, "__qualname__", repr(function))
    if not callable(function):
        raise TypeError(f"@hotplate.warmup belongs on a function, not on {type(function).__name__}")
    wanted = required_arguments(function)
    if wanted:
        raise TypeError(f"@hotplate.warmup calls {qualified} without arguments, but it wants {', '.join(wanted)}")
    _registered.append(Warmup(name or f"{module}.{qualified}", function))
    return function


def _run_coroutine(
    result: Coroutine[Any, Any, object], finish: Callable[[Coroutine[Any, Any, object]], object] | None
) -> None:
    if finish is None:
        import asyncio

        finish = asyncio.run
    finish(result)
