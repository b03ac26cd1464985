"""Finding an app that was not named."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hotplate.apps.discover import find
from hotplate.apps.target import Call
from hotplate.errors import ExitCode, HotplateError

Write = Callable[[dict[str, str]], Path]

MADE = "from flask import Flask\napp = Flask(__name__)\n"
MANAGE = "import os\n\ndef main():\n    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')\n"
PROJECT = {"manage.py": MANAGE, "mysite/settings.py": "", "mysite/wsgi.py": "", "mysite/asgi.py": ""}

FOUND: dict[str, tuple[dict[str, str], dict[str, str], str, str]] = {
    "FLASK_APP first": (
        {"app.py": MADE},
        {"FLASK_APP": "shop:create_app('x')"},
        "shop:create_app('x')",
        "FLASK_APP is shop",
    ),
    ".flaskenv": ({".flaskenv": "# comment\nexport FLASK_APP='shop:app'\n"}, {}, "shop:app", ".flaskenv sets"),
    ".env before .flaskenv": (
        {".env": "FLASK_APP=one # why\n", ".flaskenv": "FLASK_APP=two\n"},
        {},
        "one",
        ".env sets",
    ),
    "app.py": ({"app.py": MADE}, {}, "app.py", "app.py is here and defines app"),
    "app.py before wsgi.py": ({"wsgi.py": MADE, "app.py": MADE}, {}, "app.py", "app.py"),
    "wsgi.py": ({"wsgi.py": "application = 1"}, {}, "wsgi.py", "defines application"),
    "main.py with a factory": ({"main.py": "def create_app(): ..."}, {}, "main.py", "defines create_app"),
    "asgi.py with an import": ({"asgi.py": "from shop import app"}, {}, "asgi.py", "defines app"),
    "app by another name": (
        {"main.py": "import flask\nserver: object = flask.Flask('x')"},
        {},
        "main.py",
        "defines server",
    ),
    "a file without an app gives way": (
        {"app.py": "import os", "main.py": MADE},
        {},
        "main.py",
        "main.py is here and defines app",
    ),
    "a file without an app, if it is the only one": ({"app.py": "import os"}, {}, "app.py", "app.py is here"),
    "a file with a syntax error": ({"app.py": "app = ("}, {}, "app.py", "app.py is here"),
    "Django": (
        PROJECT,
        {},
        "mysite.wsgi:application",
        "manage.py names the settings mysite.settings, beside which is wsgi.py",
    ),
    "Django with an ASGI application": (
        {**PROJECT, "mysite/settings.py": "ASGI_APPLICATION = 'mysite.asgi.application'"},
        {},
        "mysite.asgi:application",
        "asgi.py",
    ),
    "Django with settings in a package": (
        {"manage.py": "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings.live'", "config/wsgi.py": ""},
        {},
        "config.wsgi:application",
        "config.settings.live",
    ),
    "Django, settings from the environment": (
        PROJECT,
        {"DJANGO_SETTINGS_MODULE": "mysite.live"},
        "mysite.wsgi:application",
        "mysite.live",
    ),
    "Django without wsgi.py": ({"manage.py": MANAGE}, {}, "django.core.wsgi:get_wsgi_application()", "mysite.settings"),
    "an app beside manage.py": ({**PROJECT, "app.py": MADE}, {}, "app.py", "app.py"),
}


@pytest.mark.parametrize(("files", "environ", "target", "why"), FOUND.values(), ids=FOUND)
def test_found(write: Write, files: dict[str, str], environ: dict[str, str], target: str, why: str) -> None:
    """Without a target the folder is searched in the documented order, and what was found is said."""
    folder = write(files)
    found = find("", folder, environ)
    assert str(found.target) == target
    assert why in found.why


def test_django_settings_are_handed_on(write: Write) -> None:
    """The settings that manage.py names are set for the import."""
    folder = write({"manage.py": MANAGE})
    found = find("", folder, {}).target
    assert found.environment == {"DJANGO_SETTINGS_MODULE": "mysite.settings"}
    assert found.call == Call()


NOTHING = {
    "empty folder": ({}, "hotplate run module:attribute"),
    "an app elsewhere": ({"site/web.py": MADE}, "hotplate run site/web.py:app"),
    "an app made by a factory elsewhere": ({"site/web.py": "app = build()"}, "hotplate run site/web.py:app"),
    "an app that is only imported": ({"run.py": "from web import app"}, "hotplate run module:attribute"),
    "a factory elsewhere": ({"web.py": "def make_app(): ..."}, "hotplate run web.py:make_app"),
    "manage.py without settings": ({"manage.py": ""}, "mysite.wsgi:application"),
}


@pytest.mark.parametrize(("files", "words"), NOTHING.values(), ids=NOTHING)
def test_nothing_found(write: Write, files: dict[str, str], words: str) -> None:
    """A folder without an app is refused, naming apps that can be seen nearby."""
    folder = write(files)
    with pytest.raises(HotplateError) as caught:
        find("", folder, {})
    assert caught.value.code is ExitCode.APP_NOT_FOUND
    assert words in str(caught.value)


def test_a_named_target_is_taken_as_it_is(write: Write) -> None:
    """A target is not second-guessed by what lies in the folder."""
    folder = write({"app.py": MADE})
    assert str(find("shop:app", folder, {"FLASK_APP": "other"}).target) == "shop:app"
