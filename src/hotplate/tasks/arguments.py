"""Arguments that cannot travel: which one it is, and what to pass instead.

Nothing is looked at until the encoder has refused a message, so tasks whose arguments are fine pay nothing.
"""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import is_dataclass
from typing import NamedTuple

from kombu.exceptions import EncodeError
from kombu.utils import json

from hotplate.tasks.untyped import Job, Value

_DEEPEST = 50  # levels looked into
_KEYS = (str, int, float, bool, type(None))  # that JSON has as keys of objects, numbers as text
# Options of a message that hold other tasks, with their arguments.
_FURTHER: Mapping[str, str] = {
    "chain": "a later step of its chain",
    "chord": "the body of its chord",
    "link": "its link",
    "link_error": "its link_error",
}
_MEMBERS = ("tasks", "header", "body")  # where chains, groups and chords have theirs


class ArgumentError(TypeError, EncodeError):
    """An argument of a task is not JSON; the same as what Celery raises for it, and a TypeError besides."""


class Culprit(NamedTuple):
    """What cannot travel.

    Args:
        where: such as "argument 2 (article)" or "keyword article.author".
        value: that is there.
    """

    where: str
    value: object


@contextmanager
def explained(task: Job, args: Value, kwargs: Value, options: Mapping[str, Value], name: str = "") -> Iterator[None]:
    """Say which argument it is when a message cannot be encoded.

    Args:
        task: whose message it is; None if it is not known here.
        args: by position.
        kwargs: by name.
        options: with which it is sent; some hold tasks that follow it.
        name: of the task, where there is no task.

    Raises:
        ArgumentError: one of them is not JSON.
    """
    try:
        yield
    except ArgumentError:
        raise
    except EncodeError as problem:
        culprit = find(task, args, kwargs, options)
        if culprit is None:
            raise
        called = name or getattr(task, "name", "") or "the task"
        raise ArgumentError(
            f"Cannot send {called}: {culprit.where} is {_named(culprit.value)}, which is not JSON. "
            f"{_instead(culprit.value)}"
        ) from problem


def find(task: Job, args: Value, kwargs: Value, options: Mapping[str, Value] | None = None) -> Culprit | None:
    """Return the first argument, or part of one, that is not JSON; of the task itself, or of one that follows it.

    Dates, times, UUIDs, decimals and bytes travel: Celery writes and reads them (kombu.utils.json).

    Args:
        task: they are for; None if it is not known here.
        args: by position.
        kwargs: by name.
        options: with which it is sent, such as `link`.

    Example:
        >>> find(None, [1, {"tags": {"a"}}], {})
        Culprit(where='argument 2.tags', value={'a'})
    """
    names = _parameters(task)
    for index, value in enumerate(args or ()):
        found = _within(value, "", 0)
        if found is not None:
            called = f" ({names[index]}{found.where})" if index < len(names) else found.where
            return Culprit(f"argument {index + 1}{called}", found.value)
    for name, value in dict(kwargs or {}).items():
        found = _within(value, "", 0)
        if found is not None:
            return Culprit(f"keyword {name}{found.where}", found.value)
    return _following(options or {}, 0)


def _following(options: Mapping[str, Value], depth: int) -> Culprit | None:
    """Return what cannot travel of the tasks that follow one: Celery sends them in its message."""
    for option, called in _FURTHER.items():
        for each in _tasks(options.get(option), depth):
            own = find(_known(each), each.get("args"), each.get("kwargs"))
            if own is not None:
                return Culprit(f"{own.where} of {each['task']}, {called},", own.value)
            found = _following(each.get("options") or {}, depth + 1)
            if found is not None:
                return found
    return None


def _tasks(signature: Value, depth: int) -> Iterator[Mapping[str, Value]]:
    """Yield the tasks of what may be one, several, or a chain, group or chord of them; a signature is a dictionary."""
    if depth > _DEEPEST:
        return
    if isinstance(signature, list | tuple):
        for each in signature:
            yield from _tasks(each, depth + 1)
    elif isinstance(signature, dict) and signature.get("task"):
        kwargs = signature.get("kwargs")
        held = [kwargs[name] for name in _MEMBERS if name in kwargs] if isinstance(kwargs, dict) else []
        if str(signature["task"]).startswith("celery.") and held:
            yield from _tasks(held, depth + 1)
        else:
            yield signature


def _known(signature: Mapping[str, Value]) -> Job:
    """Return a signature's task, for the names of its parameters; None if it is not known here."""
    with suppress(Exception):  # an app raises an error of its own for a task that it does not have
        return getattr(signature, "type", None)
    return None


def _within(value: Value, path: str, depth: int) -> Culprit | None:
    if depth > _DEEPEST:
        return Culprit(path, value)
    if isinstance(value, Mapping) and isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, _KEYS):
                return Culprit(f"{path}.keys()", key)
            found = _within(inner, f"{path}{_step(key)}", depth + 1)
            if found is not None:
                return found
        return None
    if isinstance(value, list | tuple):
        inside = (_within(inner, f"{path}[{index}]", depth + 1) for index, inner in enumerate(value))
        return next((found for found in inside if found is not None), None)
    try:
        json.JSONEncoder().encode(value)
    except Exception:  # noqa: BLE001  whatever a stranger's __json__ raises: it is this one
        return Culprit(path, value)
    return None


def _step(key: object) -> str:
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]"


def _parameters(task: Job) -> Sequence[str]:
    run = getattr(task, "__wrapped__", None) or getattr(task, "run", None)
    try:
        parameters = list(inspect.signature(inspect.unwrap(run)).parameters.values()) if run else []
    except (TypeError, ValueError):
        return ()
    named = [each.name for each in parameters if each.kind in {each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD}]
    return named[1:] if named[:1] == ["self"] else named


def _named(value: object) -> str:
    kind = type(value).__name__
    return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"


class _Advice(NamedTuple):
    applies: Callable[[Value], bool]
    text: str


_ADVICE: tuple[_Advice, ...] = (
    _Advice(
        lambda value: any(hasattr(type(value), name) for name in ("__table__", "__mapper__", "_meta")),
        "Pass its id, and load it again in the task.",
    ),
    _Advice(lambda value: isinstance(value, set | frozenset), "Pass a list: sorted(...) or list(...)."),
    _Advice(lambda value: inspect.isgenerator(value) or isinstance(value, map | filter | zip | range), "Pass a list."),
    _Advice(lambda value: isinstance(value, io.IOBase) or hasattr(value, "read"), "Save it, and pass its path."),
    _Advice(lambda value: is_dataclass(value) and not isinstance(value, type), "Pass dataclasses.asdict(...) of it."),
    _Advice(lambda value: hasattr(value, "model_dump"), "Pass its model_dump(), or make the task with pydantic=True."),
    _Advice(lambda value: isinstance(value, BaseException), "Pass str(...) of it."),
    _Advice(lambda value: hasattr(value, "__fspath__"), "Pass str(...) of it."),
    _Advice(callable, "Make a task of it, and pass the task's name or signature."),
    _Advice(lambda value: isinstance(value, tuple), "Keys are text in JSON; pass a list of pairs."),
    _Advice(lambda value: isinstance(value, dict | list), "It contains itself, or is nested too deep."),
    _Advice(lambda value: hasattr(value, "id") or hasattr(value, "pk"), "Pass its id, and load it again in the task."),
)


def _instead(value: object) -> str:
    for advice in _ADVICE:
        try:
            if advice.applies(value):
                return advice.text
        except Exception:  # noqa: BLE001, S112  a proxy may raise anything at all when it is looked at
            continue
    return "Pass what it is made of: text, numbers, lists and dictionaries of them, dates, UUIDs."
