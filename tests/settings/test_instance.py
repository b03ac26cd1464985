"""Which instance is meant is read like every setting, and never fails because of another one."""

from pathlib import Path

import pytest

from hotplate.errors import ExitCode, HotplateError
from hotplate.settings import resolve
from hotplate.settings.instance import instance_name


@pytest.mark.parametrize("flag", [None, "red"])
@pytest.mark.parametrize("variable", [None, "green"])
@pytest.mark.parametrize("file", [None, "blue"])
def test_it_is_the_name_that_run_would_take(
    tmp_path: Path, flag: str | None, variable: str | None, file: str | None
) -> None:
    """Flag over environment over file over default, as for `hotplate run`."""
    environ = {"HOTPLATE_NAME": variable} if variable else {}
    if file:
        (tmp_path / "hotplate.toml").write_text(f'name = "{file}"')
    assert instance_name(flag, environ, tmp_path) == resolve({"name": flag}, environ, tmp_path).settings.name


def test_a_broken_settings_file_does_not_keep_it_from_being_stopped(tmp_path: Path) -> None:
    """Neither a file that is no TOML nor a bad value of another setting matters."""
    (tmp_path / "hotplate.toml").write_text("name = ")
    assert instance_name(None, {}, tmp_path) == "default"
    (tmp_path / "hotplate.toml").write_text('name = "blue"\nwokers = 1')
    assert instance_name(None, {}, tmp_path) == "blue"


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    """It is quoted."""
    with pytest.raises(HotplateError, match=r"'\.\./up'") as refused:
        instance_name("../up", {}, tmp_path)
    assert refused.value.code is ExitCode.USAGE
