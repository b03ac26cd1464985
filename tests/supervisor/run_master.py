"""Runs a master over the fake generation, printing each event as a line of JSON: `run_master.py FLAG=VALUE ...`."""

import os
import sys
from pathlib import Path

import msgspec

from hotplate.errors import HotplateError
from hotplate.settings import resolve
from hotplate.supervisor import master
from hotplate.supervisor.events import Event

FAKE = (sys.executable, str(Path(__file__).with_name("fake_generation.py")))


def say(event: Event) -> None:
    """Print an event."""
    sys.stdout.write(msgspec.json.encode(event).decode() + "\n")
    sys.stdout.flush()


def main() -> None:
    """Serve until told to stop."""
    flags = dict(argument.split("=", 1) for argument in sys.argv[1:])
    try:
        status = master.run(resolve(flags, os.environ, Path.cwd()), say, FAKE)
    except HotplateError as error:
        sys.stderr.write(f"{error}\n{error.detail}\n")
        sys.exit(int(error.code))
    sys.exit(status)


if __name__ == "__main__":
    main()
