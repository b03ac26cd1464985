"""Which packages are there, without importing them."""

import sys
from importlib.util import find_spec


def installed(package: str) -> bool:
    """Whether a package can be imported; Celery and Kombu put objects without a spec in the place of their modules.

    Args:
        package: its name, without dots.

    Example:
        >>> installed("sys")
        True
    """
    return package in sys.modules or find_spec(package) is not None
