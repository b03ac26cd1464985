"""Nothing is skipped unnoticed: on the build server a skip is a failure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SKIPPED_TEST = "import pytest\n\ndef test_one():\n    pytest.skip('no such server')\n"
SKIPPED_MODULE = "import pytest\npytest.importorskip('no_such_module')\n"
EXPECTED_FAILURE = "import pytest\n\n@pytest.mark.xfail(strict=True)\ndef test_one():\n    assert False\n"


def run(folder: Path, code: str, ci: str) -> subprocess.CompletedProcess[str]:
    """Runs pytest on one module with the project's conftest, as on the build server or elsewhere."""
    (folder / "test_it.py").write_text(code)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "--rootdir", folder, "-p", "tests.conftest", "-p", "no:cacheprovider", folder],
        check=False,
        cwd=ROOT,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("code", "reason"), [(SKIPPED_TEST, "no such server"), (SKIPPED_MODULE, "could not import 'no_such_module'")]
)
def test_a_skip_fails_on_the_build_server(tmp_path: Path, code: str, reason: str) -> None:
    """Under CI=true a skipped test or module fails, and says why it was skipped."""
    result = run(tmp_path, code, "true")
    assert result.returncode != 0
    assert reason in result.stdout
    assert "Under CI=true nothing may be skipped" in result.stdout


def test_a_skip_is_fine_elsewhere(tmp_path: Path) -> None:
    """On a developer's machine a missing server skips its tests."""
    result = run(tmp_path, SKIPPED_TEST, "")
    assert result.returncode == 0
    assert "1 skipped" in result.stdout


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    """Tests that are expected to fail stay allowed everywhere."""
    result = run(tmp_path, EXPECTED_FAILURE, "true")
    assert result.returncode == 0
    assert "1 xfailed" in result.stdout
