"""Settings of the cache: what they take, what they refuse, and that a password is seen nowhere."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.errors import ExitCode, HotplateError
from hotplate.settings import Settings, resolve
from hotplate.settings.instance import one_setting
from hotplate.settings.refused import RefusedError
from hotplate.settings.secret import RedisUrl, hidden

NOWHERE = Path("/nonexistent")


def test_auto_is_refused_with_the_three_that_are_there() -> None:
    """Who expects a cache that decides by itself is told why there is none, and what there is."""
    with pytest.raises(HotplateError) as refused:
        resolve({"cache": "auto"}, {}, NOWHERE)
    line = str(refused.value)
    assert refused.value.code is ExitCode.USAGE
    assert "'auto' (--cache)" in line
    assert "database" in line
    assert "off, headers or suggest" in line


RULES = "/a/* ttl=60s tags=x,y"


@pytest.mark.parametrize(
    ("flags", "environ", "file", "rules"),
    [
        ({"cache_routes": (RULES, "/b  ttl=1s")}, {}, "", (RULES, "/b ttl=1s")),
        ({}, {"HOTPLATE_CACHE_ROUTES": f"{RULES}; /b ttl=1s"}, "", (RULES, "/b ttl=1s")),
        ({}, {"HOTPLATE_CACHE_ROUTES": f"\n{RULES}\n/b ttl=1s\n"}, "", (RULES, "/b ttl=1s")),
        ({}, {}, f'cache_routes = ["{RULES}", "/b ttl=1s"]', (RULES, "/b ttl=1s")),
        ({}, {}, f'cache-routes = """\n{RULES}\n/b ttl=1s\n"""', (RULES, "/b ttl=1s")),
        ({"no_cache_routes": True}, {"HOTPLATE_CACHE_ROUTES": RULES}, "", ()),
    ],
)
def test_rules_keep_their_commas(
    tmp_path: Path, flags: dict[str, object], environ: dict[str, str], file: str, rules: tuple[str, ...]
) -> None:
    """Several rules are given like any list, with semicolons or line ends between them."""
    (tmp_path / "hotplate.toml").write_text(file)
    assert resolve(flags, environ, tmp_path).settings.cache_routes == rules


TAKEN: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "hosts": (
        {"cache_hosts": ("WWW.Example.com:443", "b.example:8000,[::1]")},
        {"cache_hosts": ("www.example.com", "b.example:8000", "[::1]")},
    ),
    "cookies": ({"cache_ignore_cookies": ("_ga*,_gid",)}, {"cache_ignore_cookies": ("_ga*", "_gid")}),
    "no memory": ({"cache_memory": "none"}, {"cache_memory": 0}),
    "never wait": ({"cache_wait": "never"}, {"cache_wait": 0.0}),
    "valkey": ({"redis_url": "valkey://cache:6379/1"}, {"redis_url": "redis://cache:6379/1"}),
    "tls": ({"redis_url": "rediss://u:p%40@cache"}, {"redis_url": "rediss://u:p%40@cache"}),
    "a socket": ({"redis_url": "unix:///run/redis.sock?db=2"}, {"redis_url": "unix:///run/redis.sock?db=2"}),
    "no redis": ({"redis_url": "off"}, {"redis_url": ""}),
    "release": ({"release": "v1.2+abc"}, {"release": "v1.2+abc"}),
}


@pytest.mark.parametrize(("flags", "wanted"), TAKEN.values(), ids=TAKEN)
def test_what_is_taken(flags: dict[str, object], wanted: dict[str, object]) -> None:
    """Values are read in the forms people write."""
    settings = resolve(flags, {"REDIS_URL": "redis://elsewhere"}, NOWHERE).settings
    assert {name: getattr(settings, name) for name in wanted} == wanted


REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "a rule without a path": ({"cache_routes": ("articles ttl=1s",)}, "begin with a path"),
    "an empty rule": ({"cache_routes": ("",)}, "it is empty"),
    "a URL for a host": ({"cache_hosts": ("https://a.example/x",)}, "Give a.example."),
    "no host": ({"cache_hosts": ("a b",)}, "not the name of a host"),
    "every cookie": ({"cache_ignore_cookies": ("*",)}, "logins among them"),
    "no cookie": ({"cache_ignore_cookies": ("a=b",)}, "not the name of a cookie"),
    "http for redis": ({"redis_url": "http://cache"}, "none of redis, rediss and unix"),
    "a redis without a host": ({"redis_url": "redis://"}, "its host is missing"),
    "a redis with a name for a database": ({"redis_url": "redis://a/b"}, "number of a database"),
    "a redis with a bad port": ({"redis_url": "redis://a:b"}, "host or port"),
    "a socket without a path": ({"redis_url": "unix://"}, "path of its socket"),
    "too small a store": ({"cache_size": "1K"}, "below the limit of 1MiB"),
    "a release with spaces": ({"release": "a b"}, "without spaces"),
}


@pytest.mark.parametrize(("flags", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(flags: dict[str, object], words: str) -> None:
    """What cannot be used is refused on one line."""
    with pytest.raises(HotplateError) as refused:
        resolve(flags, {}, NOWHERE)
    assert refused.value.code is ExitCode.USAGE
    assert words in str(refused.value)


SECRET = "hunter2"
LEAKY = [
    "redis://:hunter2@cache:6379/0",
    "rediss://app:hunter2@cache",
    "redis://:hun/ter2hunter2@cache",
    "redis://:a@hunter2@cache",
    "redis://:hunter2?x@cache",
    "redis://:hunter2#x@cache",
    "redis://cache?password=hunter2",
    "unix://:hunter2@/run/redis.sock",
    "redis:app:hunter2@cache",
    "http://:hunter2@cache",
    "redis://hunter2@cache",
    "redis://:hunter2\n@cache",
]


@pytest.mark.parametrize("url", LEAKY)
def test_a_password_is_seen_nowhere(url: str) -> None:
    """Neither in refusals, nor where settings are shown, in logs or tracebacks."""
    assert SECRET not in hidden(url)
    try:
        settings = resolve({"redis_url": url}, {}, NOWHERE).settings
    except HotplateError as refused:
        assert SECRET not in str(refused)  # noqa: PT017  some are refused, and both ends are right
    else:
        assert SECRET not in repr(settings)
        assert SECRET not in str(settings.__rich_repr__())
        assert SECRET not in f"{settings}"
    with pytest.raises(HotplateError) as bad:
        one_setting("redis_url", f"x{url}", {}, NOWHERE)
    assert SECRET not in str(bad.value)


PASSWORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Cs"]), min_size=6, max_size=20)


@given(PASSWORDS, st.sampled_from(["redis://:{}@cache", "redis://u:{}@cache:1/2", "unix://u:{}@/run/x", "x{}@y"]))
def test_no_password_is_seen_whatever_its_characters(password: str, form: str) -> None:
    """Also one that should have been percent-encoded, in a URL that is refused."""
    url = form.format(password)
    assert password not in hidden(url).replace("...", "")
    try:
        RedisUrl().parse(url)
    except RefusedError as refused:
        assert password not in str(refused)  # noqa: PT017  many are refused, and both ends are right


def test_settings_travel_with_the_password() -> None:
    """What is hidden from people still reaches the workers."""
    settings = Settings(redis_url="redis://:hunter2@cache")
    assert msgspec.json.decode(msgspec.json.encode(settings), type=Settings).redis_url == settings.redis_url


def test_variables_of_the_cache_are_no_mistyped_settings() -> None:
    """What a worker hands on to the programs it starts does not keep a `hotplate` among them from starting."""
    environ = {"HOTPLATE_CACHE_DIR": "/run/x", "HOTPLATE_CACHE_RELEASE": "abc"}
    assert resolve({}, environ, NOWHERE).settings == Settings()


def test_one_setting_is_read_like_all_of_them(tmp_path: Path) -> None:
    """Flag, own variable, conventional variable, file, default, in this order."""
    (tmp_path / "hotplate.toml").write_text('redis_url = "redis://file"\nwokers = 1')
    own, conventional = {"HOTPLATE_REDIS_URL": "redis://own"}, {"REDIS_URL": "redis://conventional"}
    assert one_setting("redis_url", "redis://flag", own, tmp_path) == "redis://flag"
    assert one_setting("redis_url", None, own | conventional, tmp_path) == "redis://own"
    assert one_setting("redis_url", None, conventional, tmp_path) == "redis://conventional"
    assert one_setting("redis_url", None, {"REDIS_URL": ""}, tmp_path) == "redis://file"
    assert one_setting("redis_url", None, {}, NOWHERE) == ""
