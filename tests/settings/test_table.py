"""The table is complete, consistent, and agrees with its types."""

import msgspec
import pytest

from hotplate.settings import SETTINGS, Setting, Settings
from hotplate.settings.kinds import Switch
from hotplate.settings.lists import Listed
from hotplate.settings.options import options

ROWS = list(SETTINGS.values())


@pytest.mark.parametrize("setting", ROWS, ids=lambda setting: setting.name)
def test_row(setting: Setting) -> None:
    """Each setting has help, a reason for its default, and conventional names in capitals."""
    assert setting.row.help[0].isupper()
    assert not setting.row.help.endswith(".")
    assert setting.row.why.endswith(".")
    assert [name for name in setting.row.env if name != name.upper()] == []


@pytest.mark.parametrize("setting", ROWS, ids=lambda setting: setting.name)
def test_default_is_of_its_type_and_kind(setting: Setting) -> None:
    """The kind reads what it shows of the default, as a value of the field's type."""
    kind = setting.row.kind
    if setting.default in ("", ()):
        return
    value = kind.parse(kind.show(setting.default))
    assert value == setting.default
    assert getattr(msgspec.convert({setting.name: value}, Settings), setting.name) == setting.default


@pytest.mark.parametrize("setting", ROWS, ids=lambda setting: setting.name)
def test_example_can_be_read(setting: Setting) -> None:
    """The value on the reference page is one that works."""
    if setting.row.example:
        value = setting.row.kind.parse(setting.row.example)
        assert getattr(msgspec.convert({setting.name: value}, Settings), setting.name) == value


def test_settings_travel() -> None:
    """Settings survive the journey from the master to a generation."""
    settings = Settings(workers=3, grace=2.5, warmup=("/a", "/b"))
    assert msgspec.json.decode(msgspec.json.encode(settings), type=Settings) == settings


def test_no_name_is_used_twice() -> None:
    """No flag and no environment name belongs to two settings."""
    flags = [flag for option in options() for group in option.flags for flag in group.split("/")]
    variables = [name for setting in ROWS for name in (setting.variable, *setting.row.env)]
    assert len(set(flags)) == len(flags)
    assert len(set(variables)) == len(variables)


def test_every_setting_is_an_option() -> None:
    """The command line offers every setting but one, lists as repeatable and switches with both forms."""
    kinds = {option.dest: option.kind for option in options()}
    assert [setting.name for setting in ROWS if not setting.row.offered] == ["only"]
    for setting in ROWS:
        if not setting.row.offered:
            continue
        expected = "switch" if isinstance(setting.row.kind, Switch) else "value"
        expected = "values" if isinstance(setting.row.kind, Listed) else expected
        assert kinds.pop(setting.name) == ("argument" if setting.row.positional else expected)
    assert set(kinds.values()) == {"refusal"}
