"""A plain hit is answered before anything else is made of its request, and is like any other answer all the same."""

from __future__ import annotations

import pytest

from hotplate.gateway.caching.hits import Hits
from tests.gateway.cache_site import Site, Views

PAGE = {"Content-Type": "text/plain", "Cache-Control": "max-age=60"}


def test_each_is_counted() -> None:
    """Status and the levelling of connections know of every request."""
    with Site(Views(PAGE)) as site:
        answers = [site.get("/") for _ in range(6)]
        assert [answer.is_hit for answer in answers] == [False, *[True] * 5]
        traffic = site.metering.snapshot()
        assert (traffic.requests, traffic.in_flight, traffic.active_connections) == (6, 0, 1)
        assert sum(count for _, count in traffic.latency) == 6


def test_they_have_the_fields_of_all_answers() -> None:
    """One Server field, ours or the app's; while draining, the connection is closed."""
    for fields, server in ((PAGE, "hotplate"), ({**PAGE, "Server": "theirs"}, "theirs")):
        with Site(Views(fields)) as site:
            for _ in range(4):
                answer = site.get("/")
                assert [value for name, value in answer.all_fields if name == b"server"] == [server.encode()]
                assert "connection" not in answer.fields
            site.parts.closing.all()
            for _ in range(2):
                answer = site.get("/")
                assert (answer.is_hit, answer.fields["connection"]) == (True, "close")


def test_what_was_invalidated_is_no_hit() -> None:
    """The clock is asked each time."""
    view = Views(PAGE)
    with Site(view) as site:
        for _ in range(4):
            site.get("/")
        site.store.clear()
        assert not site.get("/").is_hit
        assert view.count == 2


@pytest.mark.parametrize("request_field", [{"range": "bytes=0-1"}, {"if-none-match": '"x"'}, {"cookie": "a=b"}])
def test_special_requests_are_answered_as_ever(request_field: dict[str, str]) -> None:
    """The short way says what the long one does."""
    page = {**PAGE, "ETag": '"x"'}
    with Site(Views(page)) as short, Site(Views(page), access_log=True) as long:
        for _ in range(2):
            short.get("/")
            long.get("/")
        for _ in range(4):
            one, other = short.get("/", fields=request_field), long.get("/", fields=request_field)
            assert (one.status, one.is_hit) == (other.status, other.is_hit)
            assert one.fields.keys() == other.fields.keys()


def test_a_fault_of_the_cache_is_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request goes to the app."""
    view = Views(PAGE)
    with Site(view) as site:
        for _ in range(3):
            site.get("/")

        def fail(*_given: object) -> None:
            raise RuntimeError("broken")

        monkeypatch.setattr(Hits, "__call__", fail)
        assert site.get("/").status == 200
