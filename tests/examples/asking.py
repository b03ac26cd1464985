"""Asking Newsdesk: a `fetch` over HTTP or without a network, and what one does with its replies."""

import http.client
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode, urlsplit


class Reply(NamedTuple):
    """An answer, read to its end; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as JSON."""
        assert self.headers["content-type"].startswith("application/json"), self.headers
        return json.loads(self.body)


class Fetch(Protocol):
    """Asks the site under test and does not follow redirects."""

    def __call__(self, method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """The answer, whatever its status."""
        ...


def http_fetch(base_url: str) -> Fetch:
    """A `fetch` that asks a server, one connection per request."""
    address = urlsplit(base_url)

    def fetch(method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        connection = http.client.HTTPConnection(address.hostname or "127.0.0.1", address.port, timeout=60)
        try:
            connection.request(method, path, body=body or None, headers=dict(headers or {}))
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    return fetch


def send_json(fetch: Fetch, method: str, path: str, data: object) -> Reply:
    """A request with a JSON body."""
    return fetch(method, path, body=json.dumps(data).encode(), headers={"Content-Type": "application/json"})


def send_form(fetch: Fetch, path: str, **fields: str) -> Reply:
    """A form, as a browser posts it."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return fetch("POST", path, body=urlencode(fields).encode(), headers=headers)


def created(fetch: Fetch, **fields: object) -> str:
    """Create an article; its API path."""
    article = {"title": "A test", "body": "Something that no other article says.", "author_id": 1}
    reply = send_json(fetch, "POST", "/api/articles", article | fields)
    assert reply.status == 201, reply.text
    return reply.headers["location"]


def refused(reply: Reply, status: int = 400) -> dict[str, str]:
    """Check that an API call was refused with a JSON error; the faults by field."""
    assert reply.status == status, reply.text
    error = reply.json()["error"]
    assert error["status"] == status
    assert error["message"]
    fields: dict[str, str] = error["fields"]
    return fields


def article_links(page: Reply) -> list[str]:
    """The articles a page leads to, in order."""
    return re.findall(r'href="(/articles/\d+)"', page.text)
