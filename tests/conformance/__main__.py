"""`python -m tests.conformance`: the suite by hand, against Hotplate's profiles and nginx, with every miss listed.

The newest suite is run from a copy of its repository (Node 20.18 or newer), after
`npm install --no-save --ignore-scripts undici@7` in it: python -m tests.conformance --suite ../cache-tests --front rfc
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.conformance.fronts import FRONTS
from tests.conformance.suite import INSTALLED, Suite


def main() -> int:
    """Run the suite against each front named; exit 1 where a response was used again that must not be."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument(
        "--suite", type=Path, default=INSTALLED, help="folder of the suite; the installed one unless told"
    )
    parser.add_argument(
        "--front", action="append", choices=FRONTS, help="a cache; may repeat (default: default and rfc)"
    )
    parser.add_argument("--only", default="", help="one test, with its requests and answers")
    parser.add_argument("--json", type=Path, help="folder for the outcomes, one file per front")
    arguments = parser.parse_args()
    suite = Suite(arguments.suite)
    unsafe = False
    for name in arguments.front or ("default", "rfc"):
        with tempfile.TemporaryDirectory(prefix="conformance-") as made, suite.server(Path(made)) as server:
            folder = Path(made) / "front"
            folder.mkdir()
            with FRONTS[name](folder, server.port) as port:
                report = suite.run(port, arguments.only)
            if arguments.only:
                continue
        sys.stdout.write(f"{name}: {report.summary()}\n")
        unsafe |= bool(report.unsafe())
        for test, said in report.misses("required", "optimal").items():
            mark = " UNSAFE" if test in report.unsafe() else ""
            sys.stdout.write(f"  {report.cases[test].kind:8} {test:48} {said}{mark}\n")
        if arguments.json:
            arguments.json.mkdir(parents=True, exist_ok=True)
            (arguments.json / f"{name}.json").write_bytes(msgspec.json.encode(report.outcomes))
    return int(unsafe)


if __name__ == "__main__":
    sys.exit(main())
