"""What is said when an app cannot be loaded: one builder per situation, each with its exit code."""

import difflib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from hotplate.apps import frames
from hotplate.apps.kind import Detected, is_asgi2, required_arguments
from hotplate.apps.target import Call, Spot, Target
from hotplate.errors import ExitCode, HotplateError

_SHOWN = 5
# Import names that differ from what has to be installed; pip takes - and _ for the same.
DISTRIBUTIONS: Mapping[str, str] = {
    "bs4": "beautifulsoup4",
    "Crypto": "pycryptodome",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "decouple": "python-decouple",
    "dotenv": "python-dotenv",
    "environ": "django-environ",
    "fitz": "PyMuPDF",
    "google.protobuf": "protobuf",
    "jose": "python-jose",
    "jwt": "PyJWT",
    "magic": "python-magic",
    "multipart": "python-multipart",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyOpenSSL",
    "PIL": "pillow",
    "psycopg2": "psycopg2-binary",
    "rest_framework": "djangorestframework",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "socketio": "python-socketio",
    "corsheaders": "django-cors-headers",
    "yaml": "PyYAML",
}
# What a message contains, and the remedy that fits better than "Correct it".
_REMEDIES: Mapping[str, str] = {
    "attempted relative import": "Name it as part of its package, such as hotplate run package.module:app, "
    "from the folder that holds the package.",
    "partially initialized module": "Two modules import each other: move one of the imports into a function.",
    "DJANGO_SETTINGS_MODULE": "Set DJANGO_SETTINGS_MODULE, such as mysite.settings.",
}


def module_missing(target: Target, spot: Spot, missing: str) -> HotplateError:
    """Return the error for a target whose module does not exist."""
    missing = missing or spot.module
    here = _modules(spot.folder / Path(*missing.split(".")[:-1]))
    prefix = missing.rpartition(".")[0]
    close = difflib.get_close_matches(missing.rpartition(".")[2], here, n=1, cutoff=0.5)
    attribute = str(target).partition(":")[2]
    if close:
        better = f"{prefix}.{close[0]}" if prefix else close[0]
        remedy = f"Did you mean hotplate run {better}{':' if attribute else ''}{attribute}?"
    elif here:
        more = ", ..." if len(here) > _SHOWN else ""
        remedy = f"The modules there are {', '.join(here[:_SHOWN])}{more}."
    else:
        remedy = "Run it from the folder that holds the app."
    cause = f"there is no module {missing} in {spot.folder} or among the installed packages"
    return HotplateError(f"import {spot.module}", cause, remedy, code=ExitCode.APP_NOT_FOUND)


def namesake(target: Target, mine: Path, theirs: str | None) -> HotplateError:
    """Return the error for a file that is hidden by a module of the same name."""
    cause = f"Python already has a module of that name ({theirs or 'built in'}), which hides {mine}"
    return HotplateError(f"import {target}", cause, "Rename the file.", code=ExitCode.APP_NOT_FOUND)


def dependency_missing(attempted: str, problem: ModuleNotFoundError) -> HotplateError:
    """Return the error for a module that the user's code imports and that is not installed."""
    name = problem.name or ""
    top = name.partition(".")[0]
    if top in sys.modules or not top:
        remedy = f"The installed {top or 'package'} has no such module: look at its version."
    else:
        distribution = DISTRIBUTIONS.get(name) or DISTRIBUTIONS.get(top) or top.replace("_", "-")
        remedy = f"Install it for this Python: {sys.executable} -m pip install {distribution}."
    return _failed(attempted, problem, remedy)


def exited(attempted: str, problem: SystemExit) -> HotplateError:
    """Return the error for code that ended the interpreter while it was imported."""
    where = frames.place(problem)
    code = "" if problem.code is None else repr(problem.code)
    return HotplateError(
        attempted,
        f"the app's code called sys.exit({code})" + (f" ({where})" if where else ""),
        'Move what is only for the command line under if __name__ == "__main__".',
        code=ExitCode.APP_IMPORT_FAILED,
        detail=frames.trimmed(problem),
    )


def syntax(attempted: str, problem: SyntaxError) -> HotplateError:
    """Return the error for code that Python cannot read."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return _failed(attempted, problem, f"Correct the line below (this is Python {version}).")


def raised(attempted: str, problem: Exception) -> HotplateError:
    """Return the error for code that raised an exception."""
    text = str(problem)
    remedy = next((remedy for mark, remedy in _REMEDIES.items() if mark in text), "Its traceback is below.")
    return _failed(attempted, problem, remedy)


def attribute_missing(module: ModuleType, attribute: str, candidates: Sequence[str]) -> HotplateError:
    """Return the error for a name that the module does not have."""
    near = difflib.get_close_matches(attribute, [*candidates, *vars(module)], n=1, cutoff=0.6)
    if near:
        remedy = f"Did you mean hotplate run {module.__name__}:{near[0]}?"
        others = [name for name in candidates if name != near[0]]
        remedy += f" Other apps in it: {', '.join(others[:_SHOWN])}." if others else ""
    else:
        remedy = _offer(module, candidates)
    cause = f"module {module.__name__} has no attribute {attribute}"
    return _unusable(f"find {module.__name__}:{attribute}", cause, remedy)


def nothing_usual(module: ModuleType, names: Sequence[str], candidates: Sequence[str]) -> HotplateError:
    """Return the error for a module without a usual name in it."""
    cause = f"it has no {', '.join(names[:-1])} or {names[-1]}"
    return _unusable(f"find an app in module {module.__name__}", cause, _offer(module, candidates))


def not_callable(name: str, found: object) -> HotplateError:
    """Return the error for something that cannot be called at all."""
    cause = f"it is {_a(type(found).__name__)}, which cannot be called"
    return _unusable(f"use {name} as an app", cause, "Name the app object or its factory.")


def not_an_app(name: str, found: object, detected: Detected) -> HotplateError:
    """Return the error for an object that speaks neither WSGI nor ASGI."""
    attempted = f"use {name} as an app"
    if detected.package:
        cause = f"{detected.package} speaks neither WSGI nor ASGI"
        return _unusable(attempted, cause, f"Serve it with {detected.package}'s own server.")
    if not callable(found):
        return not_callable(name, found)
    if is_asgi2(found):
        remedy = "Wrap it: app = asgiref.compatibility.guarantee_single_callable(app)."
        return _unusable(attempted, "it is written for ASGI 2, which is called twice", remedy)
    if inspect.isclass(found):
        cause = f"{found.__name__} is a class, not an app made from it"
        return _unusable(attempted, cause, f'Make one: hotplate run "{name}()".')
    wanted = required_arguments(found) or []
    takes = f"it takes {', '.join(wanted) or 'no arguments'}"
    cause = f"{takes} instead of (environ, start_response) as WSGI or (scope, receive, send) as ASGI has it"
    return _unusable(attempted, cause, f'If it is a factory, call it: hotplate run "{name}({_blanks(wanted)})".')


def factory_arguments(name: str, factory: Callable[..., object], call: Call, problem: str) -> HotplateError:
    """Return the error for a factory that was called with the wrong arguments."""
    wanted = required_arguments(factory) or []
    missing = [word for word in wanted[len(call.positional) :] if word not in call.named]
    if missing:
        cause = f"the factory wants {', '.join(missing)}, which {'was' if len(missing) == 1 else 'were'} not given"
    else:
        cause = f"the factory does not take them: {problem}"
    remedy = f'Pass them as literals: hotplate run "{name}({_blanks(wanted)})".'
    return _unusable(f"call {name}{call}", cause, remedy)


def async_factory(name: str) -> HotplateError:
    """Return the error for an `async def` factory."""
    cause = "it is async, and an app has to be there before there is an event loop"
    return _unusable(f"call {name}", cause, "Make the factory a plain function; await things in the app's lifespan.")


def made_nothing(name: str, made: object) -> HotplateError:
    """Return the error for a factory that gave back something else than an app."""
    what = "None" if made is None else _a(type(made).__name__)
    remedy = "Return the app at the end of the factory." if made is None else "Return the app itself."
    return _unusable(f"use what {name} makes", f"it returned {what}", remedy)


def _unusable(attempted: str, cause: str, remedy: str) -> HotplateError:
    return HotplateError(attempted, cause, remedy, code=ExitCode.ATTRIBUTE_MISSING)


def _failed(attempted: str, problem: Exception, remedy: str) -> HotplateError:
    where = frames.place(problem)
    cause = frames.headline(problem) + (f" ({where})" if where else "")
    return HotplateError(attempted, cause, remedy, code=ExitCode.APP_IMPORT_FAILED, detail=frames.trimmed(problem))


def _offer(module: ModuleType, candidates: Sequence[str]) -> str:
    if not candidates:
        file = getattr(module, "__file__", None) or module.__name__
        return f"Nothing in {file} looks like an app; name the module that makes it."
    return "Name one of: " + ", ".join(f"{module.__name__}:{name}" for name in candidates[:_SHOWN]) + "."


def _modules(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    files = [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
    return sorted([*files, *(path.parent.name for path in folder.glob("*/__init__.py"))])


def _blanks(names: Sequence[str]) -> str:
    return ", ".join(f"{name}=..." for name in names)


def _a(word: str) -> str:
    return f"{'an' if word[:1].lower() in 'aeiou' else 'a'} {word}"
