"""What the members of the cache's lists may be: routes, hosts, cookies."""

import re

from hotplate.settings.lists import Listed
from hotplate.settings.refused import RefusedError

_HOST = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,62}\.?)+|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII)
_HOST_HINT = "the name of a host with its port where that is not the usual one, such as www.example.com"
# A cookie's name is a token (RFC 6265, section 4.1.1); * is one of its characters, and here any text.
_COOKIE = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}", re.ASCII)
_RULE_HINT = "a path and what holds for it, such as '/articles/* ttl=60s swr=30s tags=articles'"
_LONGEST_RULE = 2000  # characters


def rules() -> Listed:
    """Rules such as `/articles/* ttl=60s`, separated by semicolons or line ends; the cache reads them itself."""
    return Listed(
        _rule, metavar="RULE", right=f"{_RULE_HINT}, or off for none", may_be_empty=True, separators=(";", "\n")
    )


def hosts() -> Listed:
    """Names of hosts, in lower case, without the usual ports."""
    return Listed(_host, metavar="HOST", right=f"{_HOST_HINT}, or off for every one", may_be_empty=True)


def cookie_names() -> Listed:
    """Names of cookies, in which `*` is any text."""
    return Listed(_cookie, metavar="COOKIE", right="names of cookies, such as _ga*, or off for none", may_be_empty=True)


def _rule(text: str) -> str:
    rule = " ".join(text.split())
    if not rule.startswith("/") or not rule.isprintable() or not rule.isascii() or len(rule) > _LONGEST_RULE:
        raise RefusedError("it does not begin with a path" if rule else "it is empty", _RULE_HINT)
    return rule


def _host(text: str) -> str:
    name = text.lower()
    if "://" in name or "/" in name:
        raise RefusedError("it is more than a host", name.partition("://")[2].partition("/")[0] or _HOST_HINT)
    if not _HOST.fullmatch(name) or len(name) > 255:
        raise RefusedError("it is not the name of a host", _HOST_HINT)
    for port in (":80", ":443"):
        name = name.removesuffix(port)
    return name


def _cookie(text: str) -> str:
    if text == "*":
        raise RefusedError("it would ignore every cookie, logins among them", "names, such as _ga*")
    if not _COOKIE.fullmatch(text):
        raise RefusedError("it is not the name of a cookie", "names, such as _ga*")
    return text
