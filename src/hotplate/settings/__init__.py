"""Settings: one table, read once from flags, environment, files and defaults, refusing what cannot be used."""

from hotplate.settings.binds import Bind, parse_bind
from hotplate.settings.sources import Resolved, resolve
from hotplate.settings.table import SETTINGS, Setting, Settings

__all__ = ["SETTINGS", "Bind", "Resolved", "Setting", "Settings", "parse_bind", "resolve"]
