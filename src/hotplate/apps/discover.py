"""Finding the app when none was named. Files are read, never imported, so looking has no side effects."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from hotplate.apps.target import Call, Target, parse
from hotplate.errors import ExitCode, HotplateError

# Tried in this order; the first two are Flask's own, manage.py is Django's.
FILES = ("app.py", "wsgi.py", "main.py", "asgi.py", "manage.py")
# Tried in this order within a module; the first two are Flask's own names for an app, the others for a factory.
NAMES = ("app", "application", "create_app", "make_app")
# Calls that make an app; what they are assigned to is worth suggesting.
_MAKERS = frozenset({"Flask", "FastAPI", "Starlette", "Quart", "Litestar", "Bottle", "Falcon", "get_wsgi_application",
                     "get_asgi_application"})  # fmt: skip
_SUGGESTIONS = 3
_SETTINGS = "DJANGO_SETTINGS_MODULE"


class Found(NamedTuple):
    """An app's target, and in words what was found where."""

    target: Target
    why: str


def find(text: str, cwd: Path, environ: Mapping[str, str]) -> Found:
    """Return the target `text`, or without one what the folder offers.

    Raises:
        HotplateError: USAGE when `text` cannot be read, APP_NOT_FOUND when there is no app to be seen.

    Example:
        >>> find("shop:app", Path("/srv"), {}).why
        'named shop:app'
    """
    if text.strip():
        return Found(parse(text), f"named {text.strip()}")
    if environ.get("FLASK_APP"):
        return Found(parse(environ["FLASK_APP"]), f"FLASK_APP is {environ['FLASK_APP']}")
    for name in (".env", ".flaskenv"):  # read by `flask run`, the first one winning
        value = _variable(cwd / name, "FLASK_APP")
        if value:
            return Found(parse(value), f"{name} sets FLASK_APP to {value}")
    return _in_folder(cwd, environ)


def _in_folder(cwd: Path, environ: Mapping[str, str]) -> Found:
    present = [name for name in FILES if (cwd / name).is_file()]
    for name in present:
        if name == "manage.py":
            found = _django(cwd, environ)
            if found:
                return found
            continue
        defined = _defined(cwd / name)
        usual = [word for word in NAMES if word in defined] + [word for word, made in defined.items() if made]
        if usual:
            return Found(Target(path=name), f"{name} is here and defines {usual[0]}")
    plain = [name for name in present if name != "manage.py"]
    if plain:
        return Found(Target(path=plain[0]), f"{plain[0]} is here")
    raise _nothing(cwd)


def _django(cwd: Path, environ: Mapping[str, str]) -> Found | None:
    """Follow manage.py to the settings, and the settings to the project's wsgi.py or asgi.py."""
    settings = environ.get(_SETTINGS) or _settings_module(cwd / "manage.py")
    if not settings:
        return None
    environment = {_SETTINGS: settings}
    module = cwd / Path(*settings.split("."))
    source = _text(module.with_suffix(".py")) or _text(module / "__init__.py")
    # A project that names an ASGI application wants WebSockets or async views; others are served faster as WSGI.
    order = ("asgi", "wsgi") if re.search(r"^ASGI_APPLICATION\s*=", source, re.MULTILINE) else ("wsgi", "asgi")
    package = settings.rpartition(".")[0]
    while package:
        for protocol in order:
            if (cwd / Path(*package.split(".")) / f"{protocol}.py").is_file():
                target = Target(module=f"{package}.{protocol}", attribute="application", environment=environment)
                return Found(target, f"manage.py names the settings {settings}, beside which is {protocol}.py")
        package = package.rpartition(".")[0]
    target = Target("django.core.wsgi", attribute="get_wsgi_application", call=Call(), environment=environment)
    return Found(target, f"manage.py names the settings {settings}")


def _settings_module(path: Path) -> str:
    for node in ast.walk(_tree(path)):
        words: list[ast.expr] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "setdefault":
            words = node.args
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            words = [node.targets[0].slice, node.value]
        values = [word.value for word in words if isinstance(word, ast.Constant)]
        if len(values) == 2 and values[0] == _SETTINGS and isinstance(values[1], str):
            return values[1]
    return ""


def _nothing(cwd: Path) -> HotplateError:
    seen = list(_suggestions(cwd))
    missing = f"it has no {', '.join(FILES[:-1])} or {FILES[-1]}, and FLASK_APP is not set"
    if seen:
        cause, remedy = missing, f"Name it: hotplate run {' or '.join(seen[:_SUGGESTIONS])}."
    elif (cwd / "manage.py").is_file():
        cause = f"manage.py does not set {_SETTINGS}"
        remedy = "Name the project's application: hotplate run mysite.wsgi:application."
    else:
        cause, remedy = missing, "Change to the app's folder, or name it: hotplate run module:attribute."
    return HotplateError(f"find an app in {cwd}", cause, remedy, code=ExitCode.APP_NOT_FOUND)


def _suggestions(cwd: Path) -> Iterator[str]:
    """Yield targets of apps made in files of this folder and of the packages and folders directly in it."""
    for path in sorted([*cwd.glob("*.py"), *cwd.glob("[!.]*/*.py")], key=lambda path: (len(path.parts), str(path))):
        if {"site-packages", "tests", "node_modules"} & set(path.parts):
            continue
        defined = _defined(path, imported=False)
        names = [name for name, made in defined.items() if made] + [name for name in NAMES if name in defined]
        if names:
            yield f"{path.relative_to(cwd)}:{names[0]}"


def _defined(path: Path, *, imported: bool = True) -> dict[str, bool]:
    """Return the names bound at the top level of a file, and for each whether it is given what makes an app.

    With `imported` false, names that come from elsewhere are left out.
    """
    names: dict[str, bool] = {}
    for node in _tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names[node.name] = False
        elif isinstance(node, ast.Import | ast.ImportFrom) and imported:
            names.update({alias.asname or alias.name.partition(".")[0]: False for alias in node.names})
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update({target.id: _makes_app(node.value) for target in targets if isinstance(target, ast.Name)})
    return names


def _makes_app(value: ast.expr | None) -> bool:
    if not isinstance(value, ast.Call):
        return False
    function = value.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in _MAKERS


def _tree(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module(body=[], type_ignores=[])  # importing it will say what is wrong


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _variable(path: Path, name: str) -> str:
    """Return a variable from a file of NAME=value lines."""
    found = re.search(rf"^\s*(?:export\s+)?{name}\s*=\s*(.*?)\s*$", _text(path), re.MULTILINE)
    if found is None:
        return ""
    quoted = re.match(r"""(["'])(.*?)\1""", found[1])
    return quoted[2] if quoted else re.split(r"\s#", found[1])[0].strip()
