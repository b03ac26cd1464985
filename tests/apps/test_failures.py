"""Every way in which loading an app can fail."""

from collections.abc import Callable

import pytest

from hotplate.apps.load import LoadedApp
from hotplate.errors import ExitCode, HotplateError

Open = Callable[[str, dict[str, str]], LoadedApp]

WSGI = "def app(environ, start_response): return []\n"
ASGI = "async def app(scope, receive, send): ...\n"
ASGI_2 = "class App:\n    def __init__(self, scope): ...\n    async def __call__(self, receive, send): ...\n"
TOUCHY = "class Touchy:\n    def __getattribute__(self, name): raise LookupError(name)\n    def __call__(self): ...\n\n"
MISSING, UNUSABLE, FAILED = ExitCode.APP_NOT_FOUND, ExitCode.ATTRIBUTE_MISSING, ExitCode.APP_IMPORT_FAILED

FAILURES: dict[str, tuple[str, dict[str, str], ExitCode, tuple[str, ...]]] = {
    "module not found, one is near": (
        "ap:app",
        {"app.py": WSGI},
        MISSING,
        ("no module ap in", "Did you mean hotplate run app:app?"),
    ),
    "module not found, none is near": (
        "zebra",
        {"app.py": WSGI},
        MISSING,
        ("no module zebra", "The modules there are app."),
    ),
    "module not found, empty folder": ("zebra", {}, MISSING, ("no module zebra", "from the folder that holds the app")),
    "submodule not found": (
        "shop.wen:app",
        {"shop/__init__.py": "", "shop/web.py": WSGI},
        MISSING,
        ("shop.wen", "Did you mean hotplate run shop.web:app?"),
    ),
    "module is no package": ("app.web:app", {"app.py": WSGI}, MISSING, ("no module app.web",)),
    "file not found, one is near": (
        "src/ap.py",
        {"src/app.py": WSGI},
        MISSING,
        ("no such file", "Did you mean src/app.py?"),
    ),
    "file not found": ("src/zebra.py", {}, MISSING, ("no such file",)),
    "folder without __init__": ("./src", {"src/app.py": WSGI}, MISSING, ("without __init__.py", "./src/app.py")),
    "hidden by the standard library": (
        "queue:app",
        {"queue.py": WSGI},
        MISSING,
        ("Python already has a module of that name", "Rename"),
    ),
    "attribute missing, one is near": (
        "app:ap",
        {"app.py": WSGI},
        UNUSABLE,
        ("no attribute ap", "Did you mean hotplate run app:app?"),
    ),
    "attribute missing, candidates": (
        "app:zebra",
        {"app.py": WSGI + ASGI.replace("app(", "other(")},
        UNUSABLE,
        ("Name one of: app:app, app:other.",),
    ),
    "attribute missing, nothing there": ("app:zebra", {"app.py": "x = 1"}, UNUSABLE, ("looks like an app",)),
    "attribute missing, beside proxies": (
        "app:ap",
        {"app.py": "from flask import Flask, current_app, g, request, session\napp = Flask('x')\n"},
        UNUSABLE,
        ("no attribute ap", "Did you mean hotplate run app:app?"),
    ),
    "attribute missing, beside objects that raise": (
        "app:zebra",
        {"app.py": TOUCHY + WSGI + "touchy = Touchy()\n"},
        UNUSABLE,
        ("Name one of: app:app",),
    ),
    "no usual name, beside proxies": (
        "app",
        {"app.py": "from flask import request\n" + TOUCHY + "touchy = Touchy()\n" + WSGI.replace("app(", "serve(")},
        UNUSABLE,
        ("no app, application, create_app or make_app", "app:serve"),
    ),
    "a proxy": ("app:request", {"app.py": "from flask import request\n"}, UNUSABLE, ("use app:request as an app",)),
    "no usual name": (
        "app",
        {"app.py": WSGI.replace("app(", "serve(")},
        UNUSABLE,
        ("no app, application, create_app or make_app", "app:serve"),
    ),
    "several Flask apps": (
        "app",
        {"app.py": "from flask import Flask\na = Flask('a')\nb = Flask('b')\n"},
        UNUSABLE,
        ("app:a, app:b",),
    ),
    "not callable": ("app:app", {"app.py": "app = 'x'"}, UNUSABLE, ("it is a str, which cannot be called",)),
    "not callable, called": ("app:app()", {"app.py": "app = 'x'"}, UNUSABLE, ("it is a str, which cannot be called",)),
    "a class": ("app:App", {"app.py": "class App: ..."}, UNUSABLE, ("App is a class", 'hotplate run "app:App()"')),
    "a module": ("app:os", {"app.py": "import os"}, UNUSABLE, ("it is a module",)),
    "ASGI 2": ("app:App", {"app.py": ASGI_2}, UNUSABLE, ("ASGI 2", "guarantee_single_callable")),
    "neither WSGI nor ASGI": (
        "app:view",
        {"app.py": "def view(request): ..."},
        UNUSABLE,
        ("it takes request", "app:view(request=...)"),
    ),
    "factory wants an argument": (
        "app:create_app",
        {"app.py": "def create_app(config): ..."},
        UNUSABLE,
        ("wants config, which was not given", 'hotplate run "app:create_app(config=...)"'),
    ),
    "factory wants two, one keyword-only": (
        "app:create_app()",
        {"app.py": "def create_app(config, *, mode): ..."},
        UNUSABLE,
        ("wants config, mode, which were not given",),
    ),
    "factory does not take it": (
        "app:create_app(3)",
        {"app.py": "def create_app(): ..."},
        UNUSABLE,
        ("does not take them",),
    ),
    "factory returns nothing": (
        "app",
        {"app.py": "def create_app(): ..."},
        UNUSABLE,
        ("it returned None", "Return the app"),
    ),
    "factory returns a number": ("app", {"app.py": "def create_app(): return 3"}, UNUSABLE, ("it returned an int",)),
    "factory is async": ("app", {"app.py": "async def create_app(): ..."}, UNUSABLE, ("it is async",)),
    "missing dependency": (
        "app",
        {"app.py": "import os\nimport sklearn.svm_not_there\n"},
        FAILED,
        ("app.py, line 2", "pip install scikit-learn"),
    ),
    "missing dependency of a dependency": (
        "app",
        {"app.py": "import deps\n", "deps.py": "import zebra_lib\n"},
        FAILED,
        ("No module named 'zebra_lib'", "deps.py, line 1", "pip install zebra-lib"),
    ),
    "exception at import": (
        "app",
        {"app.py": "SETTINGS = {}\nSETTINGS['SECRET']\n"},
        FAILED,
        ("KeyError: 'SECRET'", "app.py, line 2"),
    ),
    "exception in the factory": (
        "app",
        {"app.py": "def create_app():\n    raise RuntimeError('no database')\n"},
        FAILED,
        ("RuntimeError: no database", "app.py, line 2"),
    ),
    "exit at import": ("app", {"app.py": "import sys\nsys.exit(4)\n"}, FAILED, ("sys.exit(4)", "line 2", "__main__")),
    "syntax error": ("app", {"app.py": "def app(:\n"}, FAILED, ("SyntaxError", "app.py, line 1")),
    "bad indentation": ("app", {"app.py": "if True:\nx = 1\n"}, FAILED, ("IndentationError", "app.py, line 2")),
    "null bytes": ("app", {"app.py": "x = 1\0"}, FAILED, ("null bytes",)),
    "relative import from a bare file": (
        "app.py",
        {"app.py": "from .other import x\n"},
        FAILED,
        ("relative import", "as part of its package"),
    ),
    "import that goes in circles": (
        "app",
        {"app.py": "from deps import x\n", "deps.py": "from app import y\nx = 1\n"},
        FAILED,
        ("circular import", "import each other"),
    ),
}


@pytest.mark.parametrize(("target", "files", "code", "words"), FAILURES.values(), ids=FAILURES)
def test_failures(opened: Open, target: str, files: dict[str, str], code: ExitCode, words: tuple[str, ...]) -> None:
    """Each way to fail has its exit code and one line that names the fault and what to type next."""
    with pytest.raises(HotplateError) as caught:
        opened(target, files)
    line = str(caught.value)
    assert caught.value.code is code, line
    assert [word for word in words if word not in line] == [], line
    assert "\n" not in line


def test_no_frame_of_ours_is_shown(opened: Open) -> None:
    """A traceback has the user's frames, one line for those in libraries, and none of Hotplate or the import system."""
    files = {"app.py": "import deps\n", "deps.py": "import json\n\ndef read():\n    return json.loads('{')\n\nread()\n"}
    with pytest.raises(HotplateError) as caught:
        opened("app", files)
    detail = caught.value.detail
    assert "import deps" in detail
    assert "return json.loads" in detail
    assert "... 3 frames, the last in" in detail
    assert "json/decoder.py" in detail
    assert "hotplate" not in detail
    assert "importlib" not in detail
    assert detail.splitlines()[-1].startswith("json.decoder.JSONDecodeError")


def test_what_led_to_it_is_shown(opened: Open) -> None:
    """Of chained exceptions, each is shown with the user's frames."""
    code = "try:\n    {}['a']\nexcept KeyError as first:\n    raise ValueError('second') from first\n"
    with pytest.raises(HotplateError) as caught:
        opened("app", {"app.py": code})
    assert caught.value.detail.index("KeyError") < caught.value.detail.index("which led to:")
