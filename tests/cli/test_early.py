"""Looking for the app without importing it comes to the same end as importing it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from hotplate.cli.early import first_missing


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a package whose import would be noticed, and one that makes up its modules."""
    noisy = "raise RuntimeError('imported')"
    files = {
        "early_shop/__init__.py": noisy,
        "early_shop/web.py": noisy,
        "early_spaces/part.py": noisy,
        "early_plain.py": noisy,
        "early_magic/__init__.py": "import sys, types\nsys.modules[__name__ + '.spell'] = types.ModuleType('spell')",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("module", "missing"),
    [
        ("early_plain", ""),
        ("early_shop.web", ""),
        ("early_spaces.part", ""),
        ("early_magic.spell", ""),
        ("early_plain.attribute", ""),  # no package: the import will say so
        ("json.decoder", ""),
        ("sys", ""),
        ("zipimport", ""),
        ("early_none", "early_none"),
        ("early_shop.wbe", "early_shop.wbe"),
        ("early_shop.none.web", "early_shop.none"),
        ("early_spaces.none", "early_spaces.none"),
    ],
)
def test_only_what_is_certainly_missing_is_said_to_be(folder: Path, module: str, missing: str) -> None:
    """Packages are looked into, not imported."""
    before = set(sys.modules)
    assert first_missing(module, folder) == missing
    assert not {name for name in set(sys.modules) - before if name.startswith("early_")}


def test_modules_that_exist_are_never_missing(folder: Path) -> None:
    """Whatever is imported already can be found."""
    found = [name for name in sys.stdlib_module_names if name not in {"antigravity", "this"}]
    importable = [name for name in found if importlib.util.find_spec(name)]
    assert [name for name in importable if first_missing(name, folder)] == []
