"""What to return instead of something that cannot be kept."""

from __future__ import annotations

import inspect

_BY_MODULE = (
    ("sqlalchemy.engine", "Return dicts, not rows of a result: list(map(dict, rows.mappings()))."),
    ("sqlalchemy", "Return dicts, not ORM objects, such as [{'id': each.id, 'title': each.title} for each in found]."),
    ("django.db", "Return dicts, not ORM objects: list(queryset.values())."),
    ("peewee", "Return dicts, not ORM objects: list(query.dicts())."),
    ("pandas", "Return frame.to_dict('records')."),
    ("numpy", "Return array.tolist(), or float(value) for a single number."),
)
_RESPONSES = ("flask", "werkzeug", "starlette", "fastapi", "django.http", "django.template.response", "rest_framework")


def instead(value: object) -> str:
    """Return what to do, as a sentence.

    Example:
        >>> instead(iter([1]))
        'Return a list, such as list(value): an iterator is used up by being read.'
    """
    # A model is a class of the user's own; what it is made of says more.
    modules = [kind.__module__ for kind in type(value).__mro__]
    for module in modules:
        for prefix, remedy in _BY_MODULE:
            if _is_within(module, prefix):
                return remedy
        if any(_is_within(module, prefix) for prefix in _RESPONSES):
            return (
                "Return what the response is made of; a view's whole response is kept when @hotplate.cached stands "
                "right below its route."
            )
    if any("sqlalchemy" in str(type(each)) for each in vars(type(value)).values()):
        return dict(_BY_MODULE)["sqlalchemy"]
    if inspect.isawaitable(value):
        return "Make the function itself async, so that what it awaits is kept."
    if hasattr(value, "__next__"):
        return "Return a list, such as list(value): an iterator is used up by being read."
    for kind in (str, int, float, bytes, list, dict, set, tuple):
        if isinstance(value, kind):
            return f"Return a plain {kind.__name__}, such as {kind.__name__}(value)."
    return "Return dicts, lists, text, numbers, dates, dataclasses, or pydantic or msgspec models."


def _is_within(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(prefix + ".")
