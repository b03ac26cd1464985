"""scripts/apt and scripts/run do what they say: told from what they would do, with nothing installed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.examples.asking import http_fetch
from tests.examples.conftest import CALM, places
from tests.examples.promises import QUICK
from tests.support.instance import environment
from tests.support.services import stop
from tests.support.waiting import DEADLINE, free_port, wait_until

ROOT = Path(__file__).resolve().parents[2]
POLICY = "/usr/sbin/policy-rc.d"
# By package; PostgreSQL is looked for in a place of its own.
NEEDED = dict(re.findall(r"^need (\S+) (\S+)$", (ROOT / "scripts/apt").read_text(), re.MULTILINE))
BESIDE = {"epmd": "rabbitmq-server", "setpriv": "util-linux"}  # which every Debian has
TOOLS = ("uname", "ls", "id", "mktemp", "rm", "chmod", "tail")
APT = """#!/bin/sh
"$POLICY" >/dev/null
echo "$? $*" >>apt.log
echo "E: Unable to locate"
exit "$APT_STATUS"
"""


class Machine:
    """A machine that has only a few commands, for scripts/apt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.policy = folder / "policy-rc.d"
        (folder / "bin").mkdir()
        for tool in TOOLS:
            (folder / "bin" / tool).symlink_to(str(shutil.which(tool)))

    def have(self, name: str, text: str = "#!/bin/sh\n") -> None:
        """Put a command on its PATH."""
        path = self.folder / "bin" / name
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def apt(self, *flags: str, status: int = 0) -> str:
        """Return what the script writes to stderr; `status` is apt-get's."""
        script = (ROOT / "scripts/apt").read_text()
        assert script.count(POLICY) == 1
        (self.folder / "apt").write_text(script.replace(POLICY, str(self.policy)))
        env = {"PATH": str(self.folder / "bin"), "TMPDIR": str(self.folder), "POLICY": str(self.policy)}
        command = ["/bin/sh", "./apt", *flags]
        ended = subprocess.run(
            command,
            cwd=self.folder,
            env=env | {"APT_STATUS": str(status)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ended.stdout == ""
        return ended.stderr

    @property
    def asked(self) -> list[str]:
        """What apt-get was asked for, each after the exit status of the policy for services."""
        log = self.folder / "apt.log"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine without anything that the tests need; only Linux has apt-get."""
    if sys.platform != "linux":
        pytest.skip("apt-get is Debian's")
    return Machine(tmp_path)


def wanting() -> list[str]:
    """Return the packages that the script misses where PATH has none of their commands: it looks into sbin, too."""
    postgresql = [] if list(Path("/usr/lib/postgresql").glob("*/bin/initdb")) else ["postgresql"]
    return [name for name, command in NEEDED.items() if not shutil.which(command, path="/usr/sbin:/sbin")] + postgresql


@pytest.mark.parametrize("flags", [(), ("--dry-run",)], ids=["an ordinary user", "a dry run"])
def test_apt_names_what_is_missing(machine: Machine, flags: tuple[str, ...]) -> None:
    """It says what the tests will skip for, and what to type; and installs nothing."""
    machine.have("id", f"#!/bin/sh\necho {0 if flags else 1000}\n")
    machine.have("apt-get", APT)
    names = " ".join(wanting())
    assert machine.apt(*flags) == (
        f"Missing: {names}. The tests that need them will skip.\n"
        f"To run them too: sudo apt-get install --no-install-recommends {names}\n"
    )
    assert machine.asked == []


def test_apt_is_silent_where_all_is_there(machine: Machine) -> None:
    """Also for root: nothing is installed anew."""
    for command in [*NEEDED.values(), "initdb"]:
        machine.have(command)
    machine.have("id", "#!/bin/sh\necho 0\n")
    machine.have("apt-get", APT)
    assert machine.apt() == ""
    assert machine.asked == []


def test_apt_installs_as_root_and_starts_nothing(machine: Machine) -> None:
    """What is missing and nothing beside it; meanwhile no service may start (101 in Debian's policy)."""
    machine.have("id", "#!/bin/sh\necho 0\n")
    machine.have("apt-get", APT)
    names = " ".join(wanting())
    assert machine.apt() == f"Installing Debian packages: {names} ...\n"
    assert machine.asked == ["101 update -qq", f"101 install -qq --yes --no-install-recommends {names}"]
    assert not machine.policy.exists()


def test_apt_leaves_a_policy_of_the_machine_alone(machine: Machine) -> None:
    """Containers have one; it is neither changed nor removed."""
    machine.have("id", "#!/bin/sh\necho 0\n")
    machine.have("apt-get", APT)
    machine.policy.write_text("#!/bin/sh\nexit 104\n")
    machine.policy.chmod(0o755)
    machine.apt()
    assert [line.split()[0] for line in machine.asked] == ["104", "104"]
    assert machine.policy.exists()


def test_apt_says_why_it_could_not_install(machine: Machine) -> None:
    """The tests go on all the same, and skip; nothing is left behind but apt-get's own words."""
    machine.have("id", "#!/bin/sh\necho 0\n")
    machine.have("apt-get", APT)
    said = machine.apt(status=100)
    assert "E: Unable to locate\n" in said
    log = re.search(r"Could not install: .* will skip\. The whole log: (\S+)\n$", said)
    assert log
    assert "E: Unable to locate" in Path(log[1]).read_text()
    assert not machine.policy.exists()


def test_apt_knows_every_program_that_tests_need() -> None:
    """Under CI=true a test that misses its program fails, so what tests ask for has to be installed."""
    asking = re.compile(r'\brequire\("([a-z-]+)"')
    asked = {name for file in (ROOT / "tests").rglob("*.py") for name in asking.findall(file.read_text())}
    assert {"openssl", "curl", "wrk"} <= asked
    assert asked - BESIDE.keys() <= {*NEEDED, *NEEDED.values()}


@contextmanager
def run(folder: Path, env: Mapping[str, str], *flags: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run scripts/run in a copy of the project that has everything installed; its log is `log`."""
    shutil.copytree(ROOT / "examples/newsdesk", folder / "examples/newsdesk", ignore=shutil.ignore_patterns("*.db"))
    for name, text in {
        "scripts/run": (ROOT / "scripts/run").read_text(),
        "scripts/install": '#!/bin/sh\necho "installing $*"\n',
        ".venv/bin/python": f'#!/bin/sh\nexec {sys.executable} "$@"\n',
        ".venv/bin/hotplate": f'#!/bin/sh\nexec {sys.executable} -m hotplate "$@"\n',
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [folder / "scripts/run", *flags], cwd="/", env=environment(env), stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        stop(process, signal.SIGINT)


@pytest.mark.process
def test_run_installs_seeds_and_becomes_the_server(tmp_path: Path) -> None:
    """From any folder: the example with its articles, flags passed on, and Ctrl-C reaches the master itself."""
    port = free_port()
    data = tmp_path / "data"
    data.mkdir()
    with tempfile.TemporaryDirectory(prefix="hp") as runtime:  # short, as the path of a Unix socket has to be
        env = {**QUICK, **CALM, **places(data), "XDG_RUNTIME_DIR": runtime, "DATABASE_URL": ""}
        with run(tmp_path, env, "--bind", f"127.0.0.1:{port}", "--workers", "1") as process:
            log = tmp_path / "log"
            wait_until(lambda: "Serving on " in log.read_text() or process.poll() is not None, what="it serves")
            said = log.read_text()
            assert said.startswith("installing examples\n")
            assert f"Serving on http://127.0.0.1:{port} with 1 warm worker" in said
            fetch = http_fetch(f"http://127.0.0.1:{port}")
            assert 'href="/articles/' in fetch("GET", "/").text
            assert "newsdesk.app:app" in " ".join(psutil.Process(process.pid).cmdline())  # the shell has gone
            os.kill(process.pid, signal.SIGINT)
            assert process.wait(DEADLINE) == 0
