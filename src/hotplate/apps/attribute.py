"""The app within its module: by name, by the usual names, as the only one there is, or made by its factory."""

import inspect
from types import ModuleType

from hotplate.apps import failures
from hotplate.apps.discover import NAMES
from hotplate.apps.kind import detect, is_asgi2, known, required_arguments
from hotplate.apps.target import Call, Target

FACTORY_NAMES = NAMES[2:]


def app_in(module: ModuleType, target: Target) -> tuple[str, object]:
    """Return the app's name for messages, and the app.

    Raises:
        HotplateError: ATTRIBUTE_MISSING when there is no such app, or its factory cannot be called.
        Exception: whatever the user's factory raises.
    """
    attribute = target.attribute or _searched(module)
    found: object = module
    for place, word in enumerate(words := attribute.split(".")):
        if not hasattr(found, word):
            raise failures.attribute_missing(module, ".".join(words[: place + 1]), candidates(module))
        found = getattr(found, word)
    name = f"{module.__name__}:{attribute}"
    if target.call is not None:
        return f"{name}{target.call}", _made(name, found, target.call)
    if is_factory(found, words[-1]):
        return f"{name}()", _made(name, found, Call())
    return name, found


def candidates(module: ModuleType) -> list[str]:
    """Return the names in a module that look like an app, or like a factory of one."""
    return [name for name, value in vars(module).items() if _seems_app(module, name, value)]


def is_factory(found: object, name: str) -> bool:
    """Whether it is a function to call for an app: it bears a factory's name, or nothing has to be given to it."""
    if not inspect.isroutine(found) or name in FACTORY_NAMES:
        return inspect.isroutine(found)
    return required_arguments(found) == [] and detect(found).protocol is None


def _seems_app(module: ModuleType, name: str, value: object) -> bool:
    """Whether a value looks like an app or a factory; nothing that inspecting it raises is of anybody's interest.

    A proxy such as Flask's `request` raises RuntimeError for whatever is asked of it outside of a request.
    """
    try:
        if name.startswith("_") or (inspect.isclass(value) and not is_asgi2(value)):
            return False
        if inspect.isroutine(value) and getattr(value, "__module__", None) != module.__name__:
            return False  # imported helpers are no apps
        return name in FACTORY_NAMES or detect(value).protocol is not None
    except Exception:  # noqa: BLE001  the object is a stranger's, and only a suggestion depends on it
        return False


def _searched(module: ModuleType) -> str:
    usual = [name for name in NAMES if callable(getattr(module, name, None))]
    if usual:
        return usual[0]
    # By the type, not isinstance(): that asks the value for its __class__, and a proxy may raise.
    made = [name for name, value in vars(module).items() if not issubclass(type(value), type) and known(value)]
    distinct = {id(getattr(module, name)): name for name in reversed(made)}
    if len(distinct) == 1:
        return next(iter(distinct.values()))
    raise failures.nothing_usual(module, NAMES, candidates(module))


def _made(name: str, factory: object, call: Call) -> object:
    if not callable(factory):
        raise failures.not_callable(name, factory)
    try:
        signature = inspect.signature(factory)
    except (ValueError, TypeError):
        signature = None
    if signature is not None:
        try:
            signature.bind(*call.positional, **call.named)
        except TypeError as problem:
            raise failures.factory_arguments(name, factory, call, str(problem)) from None
    app = factory(*call.positional, **call.named)
    if inspect.iscoroutine(app):
        app.close()
        raise failures.async_factory(f"{name}{call}")
    if not callable(app):
        raise failures.made_nothing(f"{name}{call}", app)
    return app
