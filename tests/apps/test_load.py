"""Loading the user's app."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hotplate.apps.load import LoadedApp, load
from hotplate.apps.target import parse

Open = Callable[[str, dict[str, str]], LoadedApp]
Write = Callable[[dict[str, str]], Path]

WSGI = "def app(environ, start_response): return []\n"
ASGI = "async def app(scope, receive, send): ...\n"
FACTORY = """
def create_app(config='x', *, debug=False):
    def made(environ, start_response):
        return [config, debug]
    return made
"""

LOADS: dict[str, tuple[str, dict[str, str], str, str]] = {
    "a name": ("app:app", {"app.py": WSGI}, "app:app", "wsgi"),
    "a module alone": ("app", {"app.py": WSGI}, "app:app", "wsgi"),
    "the second usual name": ("app", {"app.py": WSGI.replace("app(", "application(")}, "app:application", "wsgi"),
    "an ASGI function": ("app:app", {"app.py": ASGI}, "app:app", "asgi"),
    "a factory by its usual name": ("app", {"app.py": FACTORY}, "app:create_app()", "wsgi"),
    "a factory that is called": (
        "app:create_app('y', debug=True)",
        {"app.py": FACTORY},
        "app:create_app('y', debug=True)",
        "wsgi",
    ),
    "a factory that is only named": ("app:create_app", {"app.py": FACTORY}, "app:create_app()", "wsgi"),
    "a factory by another name": (
        "app:build",
        {"app.py": "def build():\n    return len\n" + WSGI.replace("app", "len")},
        "app:build()",
        "wsgi",
    ),
    "a package": ("shop.web:app", {"shop/__init__.py": "", "shop/web.py": WSGI}, "shop.web:app", "wsgi"),
    "a file": ("app.py", {"app.py": WSGI}, "app:app", "wsgi"),
    "a file in a folder": ("src/app.py:app", {"src/app.py": WSGI}, "app:app", "wsgi"),
    "a file without its suffix, as flask takes it": ("src/app", {"src/app.py": WSGI}, "app:app", "wsgi"),
    "a file in a package keeps its dotted name": (
        "shop/web.py",
        {"shop/__init__.py": "", "shop/names.py": "NAME = 1", "shop/web.py": "from .names import NAME\n" + WSGI},
        "shop.web:app",
        "wsgi",
    ),
    "a package folder": ("./shop", {"shop/__init__.py": WSGI}, "shop:app", "wsgi"),
    "a dotted attribute": (
        "app:site.app",
        {"app.py": "class site:\n    @staticmethod\n    " + WSGI},
        "app:site.app",
        "wsgi",
    ),
    "the only Flask app under another name": (
        "app",
        {"app.py": "from flask import Flask\nserver = Flask('x')\nsame = server\n"},
        "app:server",
        "wsgi",
    ),
}


@pytest.mark.parametrize(("target", "files", "name", "kind"), LOADS.values(), ids=LOADS)
def test_loads(opened: Open, target: str, files: dict[str, str], name: str, kind: str) -> None:
    """Every documented form of target loads the app it names."""
    found = opened(target, files)
    assert (found.name, found.kind) == (name, kind)


def test_factory_gets_its_literals(opened: Open) -> None:
    """Literal arguments reach the factory with their types."""
    found = opened("app:create_app('y', debug=True)", {"app.py": FACTORY})
    assert found.app({}, None) == ["y", True]


SERVERS = {
    "flask": "from flask import Flask\napp = Flask('x')\napp.run(port=1)\n",
    "werkzeug": "import werkzeug.serving\n" + WSGI + "werkzeug.serving.run_simple('127.0.0.1', 1, app)\n",
    "uvicorn": "import uvicorn\n" + ASGI + "uvicorn.run(app, port=1)\n",
    "waitress": "from waitress import serve\n" + WSGI + "serve(app, port=1)\n",
    "wsgiref": "from wsgiref.simple_server import make_server\n"
    + WSGI
    + "with make_server('127.0.0.1', 0, app) as s: s.serve_forever()\n",
}


@pytest.mark.parametrize("code", SERVERS.values(), ids=SERVERS)
def test_a_server_started_at_import_is_ignored(opened: Open, code: str) -> None:
    """A module that starts its own server while it is imported loads all the same, with a warning."""
    found = opened("app", {"app.py": code})
    assert len(found.warnings) == 1
    assert "was ignored while the app was imported" in found.warnings[0]


def test_nothing_stays_patched(opened: Open) -> None:
    """After the import, servers and the environment are as they were."""
    import socketserver

    serve_forever = socketserver.BaseServer.serve_forever
    before = dict(os.environ)
    opened("app", {"app.py": SERVERS["wsgiref"]})
    assert socketserver.BaseServer.serve_forever is serve_forever
    assert dict(os.environ) == before


def test_environment_of_the_target_is_only_a_default(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """What discovery found for the environment is set for the import, but never over what the user has set."""
    monkeypatch.setenv("SHOP_MODE", "mine")
    monkeypatch.delenv("SHOP_KEY", raising=False)
    folder = write({"app.py": "import os\nSEEN = os.environ['SHOP_MODE'], os.environ['SHOP_KEY']\n" + WSGI})
    target = parse("app")._replace(environment={"SHOP_MODE": "theirs", "SHOP_KEY": "theirs"})
    found = load(target, folder)
    monkeypatch.delenv("SHOP_KEY")
    assert sys.modules[found.module].SEEN == ("mine", "theirs")


def test_keyboard_interrupt_passes(opened: Open) -> None:
    """Ctrl-C during an import is not taken for the app's fault."""
    with pytest.raises(KeyboardInterrupt):
        opened("app", {"app.py": "raise KeyboardInterrupt\n"})


def test_versions_are_known(opened: Open) -> None:
    """What the app is made with is named with its version."""
    found = opened("app", {"app.py": "from flask import Flask\napp = Flask('x')\n"})
    assert found.framework == "flask"
    assert found.version.startswith("Flask 3")
