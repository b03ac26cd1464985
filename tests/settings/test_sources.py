"""Where settings come from, and what is refused."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.errors import ExitCode, HotplateError
from hotplate.settings import SETTINGS, Settings, resolve
from hotplate.settings.table import PREFIX
from tests.support.services import require

NOWHERE = Path("/nonexistent")


def test_nothing_said() -> None:
    """Without anything said, the defaults are in force."""
    found = resolve({}, {"PATH": "/bin"}, NOWHERE)
    assert found.settings == Settings()
    assert set(found.origins) == set(SETTINGS)
    assert set(found.origins.values()) == {"default"}


def test_order(tmp_path: Path) -> None:
    """Flags go before the environment, that before conventional names, those before the file, that before defaults."""
    (tmp_path / "hotplate.toml").write_text("workers = 1\n")
    flags, own, conventional = {"workers": "4"}, {"HOTPLATE_WORKERS": "3"}, {"WEB_CONCURRENCY": "2"}
    steps = [
        (flags, own | conventional, tmp_path, 4, "--workers"),
        ({}, own | conventional, tmp_path, 3, "HOTPLATE_WORKERS"),
        ({}, conventional, tmp_path, 2, "WEB_CONCURRENCY"),
        ({}, {"WEB_CONCURRENCY": ""}, tmp_path, 1, "hotplate.toml"),
        ({}, {}, NOWHERE, 0, "default"),
    ]
    for given_flags, environ, folder, workers, origin in steps:
        found = resolve(given_flags, environ, folder)
        assert (found.settings.workers, found.origins["workers"]) == (workers, origin)


def test_own_file_goes_before_pyproject(tmp_path: Path) -> None:
    """[tool.hotplate] counts only where there is no hotplate.toml, and dashes are as good as underscores."""
    (tmp_path / "pyproject.toml").write_text('[tool.hotplate]\nmax-memory = "1G"\nworkers = 2\n')
    found = resolve({}, {}, tmp_path)
    assert (found.settings.max_memory, found.origins["max_memory"]) == (1024**3, "pyproject.toml")
    (tmp_path / "hotplate.toml").write_text("workers = 3\n")
    found = resolve({}, {}, tmp_path)
    assert (found.settings.max_memory, found.settings.workers) == (0, 3)


def test_file_values_have_types(tmp_path: Path) -> None:
    """A file may use TOML's own numbers, booleans and lists."""
    (tmp_path / "hotplate.toml").write_text(
        'grace = 1.5\ntimeout = 7\nlimit_body = 1000\naccess_log = true\nthreads = "auto"\n'
        'bind = [9000, "unix:/x"]\nwarmup = "/a"\npreload = false\ntrusted_proxies = []\n'
    )
    found = resolve({}, {}, tmp_path).settings
    assert (found.grace, found.timeout, found.limit_body, found.access_log) == (1.5, 7.0, 1000, True)
    assert [str(bind) for bind in found.bind] == ["127.0.0.1:9000", "unix:/x"]
    assert (found.warmup, found.preload, found.threads) == (("/a",), "off", "auto")


def test_a_foreign_broken_pyproject_is_left_alone(tmp_path: Path) -> None:
    """A pyproject.toml that does not speak of Hotplate cannot stop it."""
    (tmp_path / "pyproject.toml").write_text("[broken")
    assert resolve({}, {}, tmp_path).settings == Settings()


PORTS: dict[str, tuple[dict[str, object], dict[str, str], str, str, str]] = {
    "default address": ({}, {}, "", "127.0.0.1:9999", "PORT"),
    "flag with a port": ({"bind": ("0.0.0.0:80",)}, {}, "", "0.0.0.0:80", "--bind"),
    "flag without a port": ({"bind": ("0.0.0.0",)}, {}, "", "0.0.0.0:9999", "--bind"),
    "variable": ({}, {"HOTPLATE_BIND": "[::1]:80"}, "", "[::1]:80", "HOTPLATE_BIND"),
    "file": ({}, {}, 'bind = "0.0.0.0:80"', "0.0.0.0:9999", "PORT"),
    "file with several": ({}, {}, 'bind = ["unix:/x", "a:1", "b:2"]', "unix:/x a:9999 b:2", "PORT"),
}


@pytest.mark.parametrize(("flags", "environ", "file", "binds", "origin"), PORTS.values(), ids=PORTS)
def test_port(
    tmp_path: Path, flags: dict[str, object], environ: dict[str, str], file: str, binds: str, origin: str
) -> None:
    """PORT changes the port of what flags and HOTPLATE_BIND leave open, and never the host."""
    (tmp_path / "hotplate.toml").write_text(file)
    found = resolve(flags, {"PORT": "9999", **environ}, tmp_path)
    assert " ".join(map(str, found.settings.bind)) == binds
    assert found.origins["bind"] == origin


def test_flask_app_is_the_target() -> None:
    """FLASK_APP names the target as for `flask run`, and HOTPLATE_TARGET goes before it."""
    assert resolve({}, {"FLASK_APP": "shop"}, NOWHERE).settings.target == "shop"
    assert resolve({}, {"FLASK_APP": "shop", "HOTPLATE_TARGET": "other"}, NOWHERE).settings.target == "other"


@pytest.mark.parametrize(
    ("flags", "environ", "origin"),
    [
        ({"no_warmup_request": True}, {"HOTPLATE_WARMUP": "/x"}, "--no-warmup-request"),
        ({"warmup": ("off",)}, {}, "--warmup"),
        ({"no_warmup_request": False}, {"HOTPLATE_WARMUP": "none"}, "HOTPLATE_WARMUP"),
    ],
)
def test_warm_up_requests_can_be_refused(flags: dict[str, object], environ: dict[str, str], origin: str) -> None:
    """An app without any path to request can be served: by a flag of its own, or the word off."""
    found = resolve(flags, environ, NOWHERE)
    assert (found.settings.warmup, found.origins["warmup"]) == ((), origin)


def test_reserved_variables_are_left_alone() -> None:
    """Variables between Hotplate's own processes are not taken for settings."""
    assert resolve({}, {"HOTPLATE__LISTENERS": "3"}, NOWHERE).settings == Settings()


# What is given as (flags, environment, hotplate.toml), and words of the line.
REFUSED: dict[str, tuple[dict[str, object], dict[str, str], str, tuple[str, ...]]] = {
    "bad unit, flag": ({"grace": "5 parsecs"}, {}, "", ("set grace to '5 parsecs' (--grace)", "not a duration", "30s")),
    "bad unit, variable": ({}, {"HOTPLATE_GRACE": "5x"}, "", ("'5x' (HOTPLATE_GRACE)", "not a duration")),
    "bad unit, file": ({}, {}, "grace = '5x'", ("'5x' (hotplate.toml)", "not a duration")),
    "bad size": ({"limit_body": "1 furlong"}, {}, "", ("'1 furlong'", "not a size", "512KiB")),
    "too long": ({"grace": "99d"}, {}, "", ("above the limit of 1d", "100ms to 1d, or 0 for at once")),
    "too short": ({"timeout": "1ms"}, {}, "", ("below the limit of 100ms",)),
    "too large": ({"limit_header_size": "1G"}, {}, "", ("above the limit of 16MiB",)),
    "too small": ({"max_memory": "1K"}, {}, "", ("below the limit of 16MiB", "or 0 for no limit")),
    "too many workers": ({}, {"WEB_CONCURRENCY": "9999"}, "", ("'9999' (WEB_CONCURRENCY)", "above the limit of 1024")),
    "negative": ({"workers": "-1"}, {}, "", ("'-1'", "below the limit of 0")),
    "no number": ({"threads": "many"}, {}, "", ("not a whole number", "auto or a whole number from 1 to 4096")),
    "a fraction": ({}, {}, "workers = 1.5", ("workers to 1.5", "not a whole number")),
    "a boolean for a number": ({}, {}, "workers = true", ("workers to True", "not a whole number")),
    "a list for a number": ({}, {}, "workers = [1]", ("not a whole number",)),
    "a table": ({}, {}, "[workers]\nx = 1", ("not a whole number",)),
    "no threads": ({"threads": "0"}, {}, "", ("below the limit of 1",)),
    "unknown http mode": ({"http": "3"}, {}, "", ("set http to '3'", "auto, 1 or 2")),
    "neither yes nor no": ({}, {"HOTPLATE_ACCESS_LOG": "maybe"}, "", ("true or false",)),
    "bad address": ({"bind": ("http://a:1",)}, {}, "", ("no scheme", "Give a:1.")),
    "bad address among good ones": ({"bind": (":1", "a:b")}, {}, "", ("'a:b' among them",)),
    "bad network": ({"trusted_proxies": ("10.1.2.3/8",)}, {}, "", ("Give 10.0.0.0/8.",)),
    "every network": ({"trusted_proxies": ("*",)}, {}, "", ("0.0.0.0/0,::/0",)),
    "empty warm-up path": ({"warmup": ("",)}, {}, "", ("it is empty", "--no-warmup-request does without")),
    "empty warm-up variable": ({}, {"HOTPLATE_WARMUP": ""}, "", ("it is empty", "--no-warmup-request")),
    "warm-up path without a slash": ({"warmup": ("articles",)}, {}, "", ("begin with a slash", "/articles")),
    "warm-up path with a host": ({"warmup": ("http://a/b",)}, {}, "", ("such as /b",)),
    "warm-up path with a space": ({"warmup": ("/a b",)}, {}, "", ("percent-encoded",)),
    "warm-up in two ways": (
        {"warmup": ("/",), "no_warmup_request": True},
        {},
        "",
        ("combine --warmup with --no-warmup-request",),
    ),
    "health path with a query": ({"health_path": "/x?y"}, {}, "", ("a path without ?",)),
    "health path over the front page": ({"health_path": "/"}, {}, "", ("hide the app's front page",)),
    "threads above their bound": ({"threads": "300"}, {}, "", ("max_threads is 256", "--max-threads 300")),
    "bad name": ({"name": "a b"}, {}, "", ("1 to 40 letters",)),
    "a name out of the folder": ({"name": "../x"}, {}, "", ("1 to 40 letters",)),
    "empty variable": ({}, {"HOTPLATE_GRACE": ""}, "", ("(HOTPLATE_GRACE)", "it is empty")),
    "unknown variable": ({}, {"HOTPLATE_WORKER": "2"}, "", ("HOTPLATE_WORKER", "Did you mean HOTPLATE_WORKERS?")),
    "unknown variable, none near": ({}, {"HOTPLATE_ZEBRA": "2"}, "", ("no such setting", "--help")),
    "unknown in the file": ({}, {}, "wokers = 2", ("use wokers (hotplate.toml)", "Did you mean workers?")),
    "twice in the file": ({}, {}, "max-memory = 0\nmax_memory = 0", ("sets max_memory twice",)),
    "no TOML": ({}, {}, "workers = ", ("read hotplate.toml", "not TOML")),
    "bad PORT": ({}, {"PORT": "http"}, "", ("(PORT)", "number such as 8000")),
    "PORT out of range": ({}, {"PORT": "65536"}, "", ("(PORT)",)),
}


@pytest.mark.parametrize(("flags", "environ", "file", "words"), REFUSED.values(), ids=REFUSED)
def test_refused(
    tmp_path: Path, flags: dict[str, object], environ: dict[str, str], file: str, words: tuple[str, ...]
) -> None:
    """What cannot be used is refused on one line that quotes it, says where it came from and what would be right."""
    if file:
        (tmp_path / "hotplate.toml").write_text(file)
    with pytest.raises(HotplateError) as caught:
        resolve(flags, environ, tmp_path)
    line = str(caught.value)
    assert caught.value.code is ExitCode.USAGE
    assert [word for word in words if word not in line] == [], line
    assert "\n" not in line


def test_unreadable_files(tmp_path: Path) -> None:
    """A settings file that cannot be read is refused, never passed over."""
    (tmp_path / "hotplate.toml").write_bytes(b"workers = '\xff'")
    with pytest.raises(HotplateError, match="not UTF-8"):
        resolve({}, {}, tmp_path)
    (tmp_path / "hotplate.toml").unlink()
    (tmp_path / "hotplate.toml").mkdir()
    with pytest.raises(HotplateError, match="Is a directory"):
        resolve({}, {}, tmp_path)
    (tmp_path / "hotplate.toml").rmdir()
    (tmp_path / "pyproject.toml").write_text("[tool]\nhotplate = 3\n")
    with pytest.raises(HotplateError, match=r"\[tool.hotplate\]"):
        resolve({}, {}, tmp_path)


def test_a_flag_that_is_no_setting_is_a_bug() -> None:
    """A command that hands over what is no setting fails loudly."""
    with pytest.raises(TypeError, match="colour"):
        resolve({"colour": "red"}, {}, NOWHERE)


@given(name=st.sampled_from(sorted(SETTINGS)), text=st.text(max_size=40))
def test_any_text_is_read_or_refused(name: str, text: str) -> None:
    """No text for any setting leads to anything but settings or one line."""
    try:
        found = resolve({}, {PREFIX + name.upper(): text}, NOWHERE)
    except HotplateError as problem:
        assert problem.code in {ExitCode.USAGE, ExitCode.TLS_INVALID}  # noqa: PT017  most texts are refused
    else:
        assert found.origins[name] == PREFIX + name.upper()


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make two certificates with their keys, and an encrypted copy of the first key."""
    folder = tmp_path_factory.mktemp("pems")
    for name in ("one", "two"):
        command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
        arguments = [str(require("openssl")), *command.split(), "-keyout", f"{name}.key", "-out", f"{name}.pem"]
        subprocess.run(arguments, cwd=folder, check=True, capture_output=True)
    encrypt = "openssl pkey -in one.key -aes256 -passout pass:x -out locked.key"
    subprocess.run(encrypt.split(), cwd=folder, check=True, capture_output=True)
    return folder


def test_a_matching_pair_is_taken(pems: Path) -> None:
    """A certificate and its key are settings like any."""
    found = resolve({"cert": str(pems / "one.pem"), "key": str(pems / "one.key")}, {}, NOWHERE)
    assert found.settings.cert.endswith("one.pem")


TLS = {
    "certificate without key": ({"cert": "one.pem"}, "its private key is missing. Add --key FILE."),
    "key without certificate": ({"key": "one.key"}, "its certificate is missing. Add --cert FILE."),
    "no such certificate": ({"cert": "none.pem", "key": "one.key"}, "No such file"),
    "no such key": ({"cert": "one.pem", "key": "none.key"}, "Give --key a PEM file"),
    "a folder": ({"cert": ".", "key": "one.key"}, "directory"),
    "another's key": ({"cert": "one.pem", "key": "two.key"}, "is not the key of"),
    "an encrypted key": ({"cert": "one.pem", "key": "locked.key"}, "is encrypted"),
    "the two swapped": ({"cert": "one.key", "key": "one.pem"}, "are not a PEM certificate chain and a PEM key"),
}


@pytest.mark.parametrize(("flags", "words"), TLS.values(), ids=TLS)
def test_tls(pems: Path, monkeypatch: pytest.MonkeyPatch, flags: dict[str, str], words: str) -> None:
    """A certificate that cannot be served is refused before anything starts."""
    monkeypatch.chdir(pems)
    with pytest.raises(HotplateError) as caught:
        resolve(flags, {}, pems)
    assert caught.value.code is ExitCode.TLS_INVALID
    assert words in str(caught.value)
