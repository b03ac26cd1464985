"""The examples in the core rooms' docstrings."""

import doctest
import importlib
import pkgutil

import pytest

import hotplate

ROOMS = ("hotplate.errors", "hotplate.settings", "hotplate.apps", "hotplate.machine", "hotplate.cli")
MODULES = [
    found.name for found in pkgutil.walk_packages(hotplate.__path__, "hotplate.") if found.name.startswith(ROOMS)
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    """Every example in a docstring does what it says."""
    assert doctest.testmod(importlib.import_module(name)).failed == 0
