"""What RFC 9113 calls malformed reaches no app either."""

from __future__ import annotations

import pytest

from tests.gateway.corpus.http2 import CASES2, PLAIN, Case2, ask
from tests.gateway.corpus.plane import Address, plane

by_name = pytest.mark.parametrize("case", CASES2, ids=lambda case: case.name)


@by_name
def test_the_data_plane_lets_through_what_we_think_it_does(bare: Address, case: Case2) -> None:
    """A new Granian that parses differently is noticed here."""
    assert ask(bare, case.fields, case.body)[0] == case.plane


@by_name
def test_each_request_of_the_corpus_is_answered_as_its_rule_says(front: Address, case: Case2) -> None:
    """A refusal has its status; everything else reaches the app."""
    assert ask(front, case.fields, case.body)[0] == case.ours


def test_cookies_that_a_client_split_arrive_as_one(front: Address) -> None:
    """RFC 9113, section 8.2.3, through a real connection."""
    _status, seen = ask(front, (*PLAIN, (b"cookie", b"a=1"), (b"cookie", b"b=2")))
    assert seen["scope"]["headers"] == [["host", "a.example"], ["cookie", "a=1; b=2"]]
    assert seen["scope"]["http_version"] == "2"


def test_a_body_without_a_length_is_counted_too(front: Address) -> None:
    """HTTP/2 needs none."""
    fields = ((b":method", b"POST"), *PLAIN[1:])
    assert ask(front, fields, b"abc")[1]["messages"][0]["body"] == "abc"
    with plane("front", limit_body=2) as address:
        assert ask(address, fields, b"abc")[0] == 413
