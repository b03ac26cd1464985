"""What the user types to name an app: `module:attribute`, `module`, `module:factory('x')`, or a file."""

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from hotplate.errors import ExitCode, HotplateError

FORMS = "module:attribute, module, module:factory() or path/to/app.py[:attribute]"


class Call(NamedTuple):
    """The literal arguments of a factory."""

    positional: tuple[object, ...] = ()
    named: Mapping[str, object] = {}

    def __str__(self) -> str:
        """Return them as they would be typed."""
        words = [repr(value) for value in self.positional] + [f"{name}={value!r}" for name, value in self.named.items()]
        return f"({', '.join(words)})"


class Target(NamedTuple):
    """An app's whereabouts; either `module` or `path` is filled.

    Args:
        module: dotted name, such as "shop.web".
        path: file or package folder, as typed.
        attribute: dotted name within the module; "" means the usual names are tried.
        call: arguments if the attribute is to be called; None if nothing was said.
        environment: variables to set, unless they are set, before the import.
    """

    module: str = ""
    path: str = ""
    attribute: str = ""
    call: Call | None = None
    environment: Mapping[str, str] = {}

    def __str__(self) -> str:
        """Return it as it would be typed."""
        attribute = f":{self.attribute}" if self.attribute else ""
        return f"{self.module or self.path}{attribute}{'' if self.call is None else self.call}"


def parse(text: str) -> Target:
    """Return what `text` names; nothing is looked up.

    Raises:
        HotplateError: USAGE when it has none of the forms.

    Example:
        >>> parse("shop.web:create_app('test', debug=True)").call
        Call(positional=('test',), named={'debug': True})
    """
    place, colon, expression = _split(text.strip())
    if not place:
        raise _refusal(text, "the module is missing")
    if not _is_path(place) and "" in place.split("."):
        raise _refusal(text, "the name between two dots is missing")
    if colon and not expression.strip():
        raise _refusal(text, "the attribute after the colon is missing")
    attribute, call = _attribute(text, expression.strip()) if colon else ("", None)
    if _is_path(place):
        return Target(path=place, attribute=attribute, call=call)
    return Target(module=place, attribute=attribute, call=call)


def _split(text: str) -> tuple[str, str, str]:
    """Split at the first colon that does not belong to a Windows drive."""
    drive = text[:2] if text[1:3] in {":\\", ":/"} else ""
    place, colon, expression = text[len(drive) :].partition(":")
    return (drive + place).strip(), colon, expression


def _is_path(place: str) -> bool:
    return "/" in place or "\\" in place or place.endswith(".py")


def _attribute(text: str, expression: str) -> tuple[str, Call | None]:
    try:
        node = ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _refusal(text, f"{expression!r} is neither a name nor a call") from None
    if not isinstance(node, ast.Call):
        return _name(text, node), None
    try:
        positional = tuple(ast.literal_eval(argument) for argument in node.args)
        named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords if keyword.arg}
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise _refusal(text, "a factory's arguments can only be literals, such as 'text', 1 or debug=True") from None
    if len(named) != len(node.keywords):
        raise _refusal(text, "a factory's arguments can only be literals; ** is not one")
    return _name(text, node.func), Call(positional, named)


def _name(text: str, node: ast.expr) -> str:
    words: list[str] = []
    while isinstance(node, ast.Attribute):
        words.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise _refusal(text, "after the colon belongs a name, or a call with literal arguments")
    return ".".join([node.id, *reversed(words)])


def _refusal(text: str, cause: str) -> HotplateError:
    return HotplateError(f"read the target {text!r}", cause, f"Give {FORMS}.", code=ExitCode.USAGE)


class Spot(NamedTuple):
    """Where Python will look: `folder` goes first on sys.path, then `module` is imported."""

    folder: Path
    module: str


def locate(target: Target, cwd: Path) -> Spot:
    """Return the folder to put first on sys.path and the module to import from it.

    A file inside packages is imported by its full dotted name, so that its relative imports work, as `flask run` does.

    Raises:
        HotplateError: APP_NOT_FOUND when the target is a file that does not exist.

    Example:
        >>> locate(parse("shop.web:app"), Path("/srv")).module
        'shop.web'
    """
    if not target.path:
        return Spot(cwd, target.module)
    path = _existing(target.path, cwd)
    if path.name == "__init__.py":
        path = path.parent
    words, folder = [path.stem if path.suffix == ".py" else path.name], path.parent
    while (folder / "__init__.py").exists() and folder != folder.parent:
        words.insert(0, folder.name)
        folder = folder.parent
    return Spot(folder, ".".join(words))


def _existing(text: str, cwd: Path) -> Path:
    path = (cwd / Path(text).expanduser()).resolve()
    for candidate in (path, path.with_name(path.name + ".py")):
        if candidate.is_file() or (candidate / "__init__.py").is_file():
            return candidate
    from difflib import get_close_matches

    beside = sorted(entry.name for entry in path.parent.glob("*.py")) if path.parent.is_dir() else []
    close = get_close_matches(path.name, beside, n=1, cutoff=0.5)
    if path.is_dir():
        cause = "it is a folder without __init__.py"
        close = get_close_matches("app.py", sorted(entry.name for entry in path.glob("*.py")), n=1, cutoff=0)
        hint = f"Name the file in it, such as {text.rstrip('/')}/{close[0] if close else 'app.py'}."
    elif close:
        cause, hint = "there is no such file", f"Did you mean {Path(text).with_name(close[0])}?"
    else:
        cause, hint = f"there is no such file in {cwd}", f"Give {FORMS}."
    raise HotplateError(f"load {text}", cause, hint, code=ExitCode.APP_NOT_FOUND)
