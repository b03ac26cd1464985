"""The reference pages are those of the code."""

from pathlib import Path

import pytest

from hotplate.errors import ExitCode
from hotplate.settings import SETTINGS
from hotplate.settings.reference import PAGES, main, settings_page

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", PAGES)
def test_docs_are_in_step(name: str) -> None:
    """docs/ has what the tables say; if not, run `python -m hotplate.settings.reference`."""
    assert (DOCS / name).read_text("utf-8") == PAGES[name]()


def test_every_setting_and_code_is_on_its_page() -> None:
    """Nothing is left out."""
    page = settings_page()
    for setting in SETTINGS.values():
        assert f"### {setting.name}\n" in page
        assert setting.variable in page
    assert [code for code in ExitCode if f"`{code.name}`" not in PAGES["exit-codes.md"]()] == []


def test_check_says_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page out of step is shown with its difference and fails the check; writing it again mends it."""
    assert main([str(tmp_path)]) == 0
    assert main(["--check", str(tmp_path)]) == 0
    page = tmp_path / "settings.md"
    page.write_text(page.read_text("utf-8").replace("# Settings", "# Sittings"), "utf-8")
    assert main(["--check", str(tmp_path)]) == 1
    assert "-# Sittings\n+# Settings" in capsys.readouterr().out
    assert main([str(tmp_path)]) == 0
    assert main(["--check", str(tmp_path)]) == 0


def test_check_writes_nothing(tmp_path: Path) -> None:
    """A missing page fails the check and stays missing."""
    assert main(["--check", str(tmp_path / "docs")]) == 1
    assert list(tmp_path.iterdir()) == []
