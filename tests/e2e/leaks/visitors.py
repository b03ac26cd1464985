"""Visitors who ask a site all at once and look at every byte of what they get."""

from __future__ import annotations

import http.client
import itertools
import random
import re
import threading
from collections import Counter
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import NamedTuple
from urllib.parse import urlencode

from tests.support.instance import Instance

ARTICLES = 5
WHO = (None, "alice", "bob")
_FOR = re.compile(r"for\[(\w+)\]")
_ONCE = re.compile(r"(?:secret|cookie)\[([^\]]+)\]")
_VERSION = re.compile(r"version\[(\d+)\]")
_LANGUAGES = {"en-GB,en;q=0.9": "hello[en]", "de-DE,de;q=0.9": "hallo[de]"}

PERSONAL = ("/me", "/guess", "/form", "/account/me", "/account/style.css", "/account/;x.css", "/account/%2e%2fx.js")
# Nothing in these says that they are personal; only a cache that is careful keeps them apart.
MISTAKES = ("/mistake", "/mistake/cookie")


class Told(NamedTuple):
    """One answer."""

    status: int
    text: str
    cookies: list[str]
    hit: bool


class Site:
    """A running site and all that was seen of it.

    Args:
        instance: serves it.
        tokens: whether it takes tokens rather than cookies.

    Attributes:
        wrong: every answer that was not right, in words.
        asked: how many requests there were, and how many answers came out of the cache, by path.
    """

    def __init__(self, instance: Instance, *, tokens: bool) -> None:
        self.instance = instance
        self.tokens = tokens
        self.wrong: list[str] = []
        self.asked: Counter[str] = Counter()
        self.hits: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._once: set[str] = set()
        self._written = [0] * ARTICLES

    def judge(self, visitor: Visitor, path: str, told: Told) -> None:
        """Look at one answer."""
        wrong = []
        if told.status != 200:
            wrong.append(f"status {told.status}")
        if visitor.is_personal(path) and _FOR.findall(told.text) != [visitor.name or "anyone"]:
            wrong.append("not this visitor's page")
        with self._lock:
            self.asked[path] += 1
            self.hits[path] += told.hit
            once = {*_ONCE.findall(told.text), *(value for value in told.cookies if value)}
            if once & self._once:
                wrong.append("a secret or cookie that somebody got before")
            self._once |= once
            self.wrong += [f"{visitor.name} asked {path}: {what}: {told}" for what in wrong]

    def read(self, article: int) -> int:
        """Return the version that whoever asks from now on must at least get."""
        with self._lock:
            return self._written[article]

    def wrote(self, article: int, text: str) -> None:
        """Note that a write was acknowledged."""
        with self._lock:
            self._written[article] = max(self._written[article], int(_VERSION.findall(text)[0]))

    def complain(self, what: str) -> None:
        """Note what was wrong."""
        with self._lock:
            self.wrong.append(what)


class Visitor:
    """Somebody with a browser: one connection, one jar of cookies.

    Args:
        site: to ask.
        name: to log in with; None for nobody.
    """

    def __init__(self, site: Site, name: str | None) -> None:
        self.site = site
        self.name = name
        self._connection = site.instance.connect()
        self._jar: dict[str, str] = {}
        self._token = ""
        if name is not None:
            answer = self.ask("/token" if site.tokens else "/login", "POST", urlencode({"name": name}))
            assert answer.status == 200, answer
            self._token = answer.text if site.tokens else ""

    def is_personal(self, path: str) -> bool:
        """Whether the page says whom it is for."""
        return path in PERSONAL or path in MISTAKES

    def ask(self, path: str, method: str = "GET", body: str | None = None, **headers: str) -> Told:
        """Send one request as a browser would."""
        if self._jar:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._jar.items())
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        text = response.read().decode()
        set_cookies = response.headers.get_all("Set-Cookie") or []
        hit = "; hit" in (response.headers.get("Cache-Status") or "")
        return Told(response.status, text, self._keep(set_cookies), hit)

    def _keep(self, set_cookies: list[str]) -> list[str]:
        values = []
        for cookie in itertools.chain.from_iterable(SimpleCookie(line).values() for line in set_cookies):
            self._jar[cookie.key] = cookie.value
            if cookie.key == "seen":
                values.append(cookie.value)
        return values

    def look(self, path: str) -> None:
        """Ask for a page and have it judged."""
        if path.endswith("hello"):
            accepted, expected = random.choice(list(_LANGUAGES.items()))
            told = self.ask(path, **{"Accept-Language": accepted})
            if told.text != expected:
                self.site.complain(f"{path} for {accepted}: {told}")
        else:
            told = self.ask(path)
        self.site.judge(self, path, told)

    def read(self, article: int) -> None:
        """Read an article: at least as new as the last write that was acknowledged before."""
        least = self.site.read(article)
        told = self.ask(f"/article/{article}")
        seen = [int(found) for found in _VERSION.findall(told.text)]
        if len(seen) != 1 or seen[0] < least:
            self.site.complain(f"article {article} after version {least} was acknowledged: {told}")
        self.site.judge(self, "/article", told)

    def write(self, article: int, prefix: str) -> None:
        """Write an article."""
        told = self.ask(f"/{prefix}/{article}", "POST", "")
        self.site.judge(self, f"POST /{prefix}", told)
        if told.status == 200:
            self.site.wrote(article, told.text)

    def browse(self, count: int, paths: tuple[str, ...], seed: int) -> None:
        """Do `count` things in a random order."""
        chance = random.Random(f"{self.name}{seed}")
        for _ in range(count):
            what = chance.random()
            if what < 0.6:
                self.look(chance.choice(paths))
            elif what < 0.94:
                self.read(chance.randrange(ARTICLES))
            else:
                self.write(chance.randrange(ARTICLES), chance.choice(("article", "api")))


def visit(site: Site, count: int, paths: tuple[str, ...]) -> None:
    """Let two of each visitor ask at once, `count` requests in all; raises what stopped one of them."""
    errors: list[BaseException] = []

    def run(name: str | None, seed: int) -> None:
        try:
            Visitor(site, name).browse(count // 6, paths, seed)
        except (OSError, http.client.HTTPException, AssertionError) as error:
            errors.append(error)

    runs: list[Callable[[], None]] = [lambda n=name, s=seed: run(n, s) for name in WHO for seed in (1, 2)]  # type: ignore[misc]  # defaults bind
    threads = [threading.Thread(target=each) for each in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
