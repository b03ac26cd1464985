"""Why the cache did not do something: a code for counters and Cache-Status, and words for people."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """Why a request was not looked up or a response not stored or not reused.

    The value is what counters, markers and Cache-Status show; `text` is what `hotplate cache explain` says.

    Example:
        >>> Reason.NO_STORE.value, Reason.NO_STORE.text
        ('no-store', 'the response says no-store')
    """

    text: str

    def __new__(cls, value: str, text: str) -> Self:
        """Make a member out of its code and its words."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.text = text
        return member

    NONE = "", "nothing speaks against it"

    # The request.
    METHOD = "method", "only GET and HEAD are answered from cache"
    HEAD = "head", "a response to HEAD has no body to store"
    BODY = "body", "the request has a body, which is no part of the key"
    HOST = "host", "its host is not among those whose answers may be kept"
    OVERRIDE = "method-override", "the request asks the app to take it for another method"
    PRECONDITION = "precondition", "If-Match, If-Unmodified-Since and Expect are for the app to decide"
    REQUEST_NO_STORE = "request-no-store", "the request says no-store"

    # The response.
    STATUS = "status", "responses with this status are not stored"
    PARTIAL = "partial", "a part of a response is not stored"
    CONDITIONAL = "conditional", "the status answers a condition of this one request"
    NO_STORE = "no-store", "the response says no-store"
    PRIVATE = "private", "the response says private"
    SET_COOKIE = "set-cookie", "the response sets a cookie"
    VARY_STAR = "vary-star", "its Vary says *, or cannot be understood"
    VARY_MANY = "vary-many", "its Vary names more fields than are compared"
    AUTHORIZATION = "authorization", "the request has credentials, and the response does not say public or s-maxage"
    COOKIE = "cookie", "the request says who somebody is, and the response does not say that it is for everyone"
    NO_FRESHNESS = "no-freshness", "the response does not say how long it is fresh"
    NO_CACHE = "no-cache", "the response says no-cache"
    STALE = "stale", "the response is stale on arrival"
    TAGS = "tags", "it has more tags than are checked"
    LENGTH = "length", "its body is not as long as its Content-Length says"

    # The stored response.
    MARKER = "marker", "what is kept is only that it cannot be stored"
    NOT_FOR_ALL = "not-for-all", "the stored response is for requests without cookies and credentials"
    EXPIRED = "expired", "the stored response is stale"
    CLIENT = "client", "the client wants a newer one"
    CLOCK = "clock", "it was stored in the future of this clock"
    VALIDATOR = "validator", "the 304 is about another response"
