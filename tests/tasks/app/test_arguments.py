"""Who passes what cannot travel is told which argument it is, and what to pass instead."""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from celery import chord, group
from kombu.exceptions import EncodeError

from hotplate.tasks.arguments import ArgumentError, find
from tests.tasks.app.conftest import Make


class Article:
    """Like a row of a database."""

    id = 7


@dataclass
class Point:
    """Like a value of one's own."""

    x: int


def _generator() -> Iterator[int]:
    yield 1


def test_what_travels_is_let_through(make: Make) -> None:
    """Dates, UUIDs, decimals and bytes among it."""

    @make().task
    def keep(*_: Any, **__: Any) -> None: ...

    keep.delay(
        1, "a", None, [1.5, {"k": (1, 2)}], datetime.now(UTC), date(2026, 1, 1), uuid.uuid4(), Decimal("1.1"), b"\xff"
    )


@pytest.mark.parametrize(
    ("args", "kwargs", "said"),
    [
        ((1, Article()), {}, "argument 2 (article) is an Article, which is not JSON. Pass its id"),
        ((1, [{"author": Article()}]), {}, "argument 2 (article[0].author) is an Article"),
        ((1, {"two words": {1}}), {}, "argument 2 (article['two words']) is a set, which is not JSON. Pass a list"),
        ((1,), {"article": {"author": Article()}}, "keyword article.author is an Article"),
        ((1, 2, Point(1)), {}, "argument 3 is a Point, which is not JSON. Pass dataclasses.asdict(...)"),
        ((1, Path("x")), {}, "argument 2 (article) is a PosixPath, which is not JSON. Pass str(...)"),
        ((1, io.BytesIO()), {}, "Save it, and pass its path"),
        ((1, _generator()), {}, "Pass a list"),
        ((1, ValueError("x")), {}, "argument 2 (article) is a ValueError"),
        ((1, {(1, 2): 3}), {}, "argument 2 (article.keys()) is a tuple, which is not JSON. Keys are text"),
        ((1, print), {}, "Make a task of it"),
        ((1, object()), {}, "Pass what it is made of"),
    ],
)
def test_it_is_named(make: Make, args: tuple[Any, ...], kwargs: dict[str, Any], said: str) -> None:
    """With its place in the call, its name in the task, and the way inside it."""

    @make().task
    def publish(number: int, article: Any = None, *more: Any) -> None: ...

    with pytest.raises(TypeError, match=re.escape(said)) as refused:
        publish.delay(*args, **kwargs)
    assert str(refused.value).startswith("Cannot send tests.tasks.app.test_arguments.publish: ")


def test_what_contains_itself_is_named(make: Make) -> None:
    """Instead of a recursion error."""
    loop: list[Any] = []
    loop.append(loop)

    @make().task
    def publish(article: Any) -> None: ...

    with pytest.raises(TypeError, match="contains itself"):
        publish.delay(loop)


def test_code_that_catches_celerys_error_goes_on_working(make: Make) -> None:
    """It is Kombu's EncodeError, too."""

    @make().task
    def publish(article: Any) -> None: ...

    with pytest.raises(EncodeError):
        publish.delay(Article())


def test_however_it_is_sent(make: Make) -> None:
    """By name, in a chain, in a group, and where tasks run at once."""
    app = make()

    @app.task
    def publish(article: Any) -> None: ...

    for send in (
        lambda: app.send_task("elsewhere", (Article(),)),
        (publish.si(Article()) | publish.s()).apply_async,
        lambda: app.signature("elsewhere", ({"by": Article()},)).delay(),
    ):
        with pytest.raises(ArgumentError, match="Article"):
            send()
    app.conf.task_always_eager = True
    with pytest.raises(ArgumentError, match="Article"):
        publish.delay(Article())


def test_the_first_argument_of_a_bound_task_is_its_own(make: Make) -> None:
    """`self` is not counted, and not named."""

    @make().task(bind=True)
    def publish(self: Any, article: Any) -> None: ...

    with pytest.raises(TypeError, match=re.escape("argument 1 (article)")):
        publish.delay(Article())


def test_a_proxy_that_raises_when_it_is_looked_at(make: Make) -> None:
    """Like Flask's outside a request: it is named all the same."""

    class Proxy:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("working outside of context")

    @make().task
    def publish(article: Any) -> None: ...

    with pytest.raises(TypeError, match="argument 1"):
        publish.delay(Proxy())


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    """Then the encoder's own words stand."""
    assert find(None, (1, "a"), {"b": [None]}) is None


def test_what_follows_a_task_is_searched_too(make: Make) -> None:
    """It travels in the same message; whose argument it is, and in which place, is said."""
    app = make()

    @app.task(name="add")
    def add(x: Any, y: Any = None) -> Any: ...

    def refuse(send: Any, said: str) -> None:
        with pytest.raises(ArgumentError, match=re.escape(said)) as refused:
            send()
        assert "Pass its id" in str(refused.value)

    good, bad = add.si(1), add.s(Article())
    refuse((good | bad).apply_async, "Cannot send add: argument 1 (x) of add, a later step of its chain, is an Article")
    refuse((good | good | add.si(1, y={"by": Article()})).apply_async, "keyword y.by of add, a later step of its chain")
    refuse((good | group(good, bad)).apply_async, "argument 1 (x) of add, a later step of its chain, is an Article")
    refuse(
        chord([good, good], add.s(y=Article())).apply_async, "keyword y of add, the body of its chord, is an Article"
    )
    refuse((group(good, good) | bad).apply_async, "argument 1 (x) of add, the body of its chord, is an Article")
    refuse(lambda: add.apply_async((1,), link=bad), "argument 1 (x) of add, its link, is an Article")
    refuse(
        lambda: add.apply_async((1,), link_error=[good, bad]), "argument 1 (x) of add, its link_error, is an Article"
    )
    refuse(lambda: add.apply_async((1,), link=add.si(2).on_error(bad)), "argument 1 (x) of add, its link_error, is an")
    elsewhere = app.signature("elsewhere", ({"by": Article()},))
    refuse((good | elsewhere).apply_async, "argument 1.by of elsewhere, a later step of its chain, is an Article")
    refuse(lambda: app.send_task("add", (1,), link=bad), "argument 1 (x) of add, its link, is an Article")
