"""The forms of a target."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotplate.apps.target import Call, Target, locate, parse
from hotplate.errors import ExitCode, HotplateError

FORMS = {
    "app": Target(module="app"),
    "app:app": Target(module="app", attribute="app"),
    " shop.web : site.app ": Target(module="shop.web", attribute="site.app"),
    "app:create_app()": Target(module="app", attribute="create_app", call=Call()),
    "app:create_app('x', [1, 2], debug=True)": Target(
        module="app", attribute="create_app", call=Call(("x", [1, 2]), {"debug": True})
    ),
    "app:create_app(-1, {'a': None})": Target(module="app", attribute="create_app", call=Call((-1, {"a": None}))),
    "app:create_app(url='redis://h:6379')": Target(
        module="app", attribute="create_app", call=Call((), {"url": "redis://h:6379"})
    ),
    "app.py": Target(path="app.py"),
    "src/app.py:app": Target(path="src/app.py", attribute="app"),
    "src/app": Target(path="src/app"),
    r"C:\site\app.py:app": Target(path=r"C:\site\app.py", attribute="app"),
    "my-app:app": Target(module="my-app", attribute="app"),
}


@pytest.mark.parametrize(("text", "target"), FORMS.items(), ids=FORMS)
def test_forms(text: str, target: Target) -> None:
    """Each documented form is read as documented."""
    assert parse(text) == target


@pytest.mark.parametrize("text", [text for text in FORMS if " : " not in text])
def test_reads_back(text: str) -> None:
    """A target written out is read back the same."""
    assert parse(str(parse(text))) == parse(text)


REFUSED = {
    "": "module is missing",
    ":app": "module is missing",
    "app:": "attribute after the colon is missing",
    "a..b:app": "name between two dots is missing",
    "app:create_app(": "neither a name nor a call",
    "app:1": "belongs a name",
    "app:a b": "neither a name nor a call",
    "app:create_app(os.environ)": "only be literals",
    "app:create_app(*args)": "only be literals",
    "app:create_app(**{'a': 1})": "only be literals",
    "app:create_app()()": "belongs a name",
    "app:factories['x']": "belongs a name",
    "app:__import__('os').system('true')": "belongs a name",
}


@pytest.mark.parametrize(("text", "words"), REFUSED.items(), ids=REFUSED)
def test_refused(text: str, words: str) -> None:
    """What has no form of a target is quoted and refused, and never evaluated."""
    with pytest.raises(HotplateError) as caught:
        parse(text)
    assert caught.value.code is ExitCode.USAGE
    assert words in str(caught.value)
    assert repr(text) in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text whatever makes the parser fail in another way than by its own error."""
    with contextlib.suppress(HotplateError):
        assert parse(text).module or parse(text).path


def test_file_in_packages_keeps_its_dotted_name(tmp_path: Path) -> None:
    """A file is imported from the folder above its outermost package."""
    (tmp_path / "src/shop/web").mkdir(parents=True)
    for name in ("shop/__init__.py", "shop/web/__init__.py", "shop/web/site.py"):
        (tmp_path / "src" / name).touch()
    assert locate(parse("src/shop/web/site.py"), tmp_path) == (tmp_path / "src", "shop.web.site")
    assert locate(parse("src/shop/web/__init__.py"), tmp_path) == (tmp_path / "src", "shop.web")
