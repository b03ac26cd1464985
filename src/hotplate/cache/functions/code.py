"""What tells one function from another, in all processes and versions: its name, its code, what its closure holds."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from functools import lru_cache
from types import CodeType
from typing import Any

from hotplate.cache.functions.byvalue import UnkeyableError, encode

_seen: set[bytes] = set()


def identity(function: Callable[..., Any], name: str) -> bytes:
    """Return what a function's keys begin with.

    A changed function never reads what its former self has stored. What it calls is not looked at: that is what a
    release is for, which `hotplate run` makes of the whole app.

    Args:
        function: any function; of what is not written in Python only the name counts.
        name: it is known by.

    Example:
        >>> identity(lambda x: x + 1, "f") == identity(lambda x: x + 1, "f")
        True
        >>> identity(lambda x: x + 1, "f") == identity(lambda x: x + 2, "f")
        False
    """
    code = getattr(function, "__code__", None)
    known = encode([name, list(sys.version_info[:2]), _code(code) if isinstance(code, CodeType) else b""])
    held, is_whole = _closure(function)
    known += encode(held)
    if not is_whole:
        # Made by one factory, with something in hand that cannot be compared: the first is the only one that other
        # processes can have made, too; a second one may not be theirs, and keeps to itself.
        if known in _seen:
            return known + uuid.uuid4().bytes
        _seen.add(known)
    return known


def _closure(function: Callable[..., Any]) -> tuple[list[bytes], bool]:
    held, is_whole = [], True
    for cell in getattr(function, "__closure__", None) or ():
        try:
            held.append(encode(cell.cell_contents))
        except (UnkeyableError, ValueError):  # ValueError: empty, as of a function that calls itself
            held.append(b"")
            is_whole = False
    return held, is_whole


@lru_cache(maxsize=1024)
def _code(code: CodeType) -> bytes:
    # Names and numbers of lines are left out, so that a comment above does not empty the cache. Where variables are
    # found belongs to it: x + y and y + x are the same instructions.
    constants = [_code(each) if isinstance(each, CodeType) else _constant(each) for each in code.co_consts]
    names = [*code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars]
    return encode([code.co_code, constants, names, code.co_flags])


def _constant(value: object) -> bytes:
    try:
        return encode(value)
    except UnkeyableError:  # no compiler makes one
        return repr(type(value)).encode()
