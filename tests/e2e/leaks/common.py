"""What the sites share: who is told what, and articles in files that all workers see."""

from __future__ import annotations

import fcntl
import itertools
import os
import secrets
from pathlib import Path

USERS = ("alice", "bob")
PUBLIC = {"Cache-Control": "public, max-age=600"}
MISTAKE = {"Cache-Control": "max-age=60"}
_MADE = itertools.count()


def page(name: str | None, *more: str) -> str:
    """Return a page that says whom it is for."""
    return "\n".join(["<html>", f"for[{name or 'anyone'}]", *more, "</html>"])


def form() -> str:
    """Return a field with a secret that was never used before."""
    return f"secret[{secrets.token_hex(8)}]"


def hello(accepted: str) -> str:
    """Return a greeting in the first language named."""
    return "hallo[de]" if accepted.startswith("de") else "hello[en]"


def fresh_cookie() -> str:
    """Return a value for a cookie that no other response sets."""
    return f"{os.getpid()}-{next(_MADE)}"


def tags(article: int) -> tuple[str, ...]:
    """Return what an article's page can be invalidated by."""
    return ("articles", f"article:{article}")


def version(article: int) -> str:
    """Return an article's page."""
    path = Path(f"article-{article}")
    return f"version[{path.read_text() if path.exists() else 0}]"


def write(article: int) -> str:
    """Make a new version, and return it as the page will."""
    with Path("articles.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path, fresh = Path(f"article-{article}"), Path(f"article-{article}.new")
        fresh.write_text(str(int(path.read_text()) + 1 if path.exists() else 1))
        fresh.replace(path)
        return version(article)
