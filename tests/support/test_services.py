"""Private servers serve, end when the test ends, and leave nothing behind but evidence."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.conftest import StartNginx
from tests.support.chromium import Chromium
from tests.support.nginx import complete_nginx
from tests.support.servers import redis_says, server_folder
from tests.support.services import Service, ServiceFailedError, Spec, free_port, require, start, wait_until

FOR_EVER = "import signal; print('up', flush=True); signal.pause()"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {FOR_EVER}"


def python(folder: Path, code: str) -> Spec:
    """Describes a server that is a line of Python, ready once it has said something."""
    log = folder / "python.log"
    return Spec(
        name="python",
        command=[sys.executable, "-c", code],
        folder=folder,
        is_ready=lambda: log.exists() and log.stat().st_size > 0,
    )


def test_a_service_runs_within_its_block_only(tmp_path: Path) -> None:
    """When the block ends, so does the process."""
    with start(python(tmp_path, FOR_EVER)) as service:
        assert psutil.pid_exists(service.pid)
        assert service.log_tail() == "up"
    assert not psutil.pid_exists(service.pid)


def test_a_service_ends_when_the_test_fails(tmp_path: Path) -> None:
    """A failing test leaves no process behind."""
    pid = 0
    with suppress(ZeroDivisionError), start(python(tmp_path, FOR_EVER)) as service:
        pid = service.pid
        raise ZeroDivisionError
    assert pid
    assert not psutil.pid_exists(pid)


def test_a_stubborn_service_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ignores the order to end is ended by force."""
    monkeypatch.setattr("tests.support.services.STOP_DEADLINE", 0.05)
    with start(python(tmp_path, STUBBORN)) as service:
        pass
    assert not psutil.pid_exists(service.pid)


def test_a_service_that_ends_too_early_shows_its_log(tmp_path: Path) -> None:
    """A server that cannot start fails the test with its own words, at once."""
    code = "import sys; sys.exit('no room at the inn')"
    spec = Spec(name="inn", command=[sys.executable, "-c", code], folder=tmp_path, is_ready=lambda: False)
    with pytest.raises(ServiceFailedError, match=r"(?s)inn ended with status 1 .*no room at the inn"), start(spec):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")
def test_a_service_does_not_outlive_a_killed_test_run(tmp_path: Path) -> None:
    """A test run that is killed without a chance to tidy up takes its servers with it."""
    require("setpriv")
    runner = f"""
import pathlib, signal, sys
sys.path.insert(0, {str(Path.cwd())!r})
from tests.support.services import start
from tests.support.test_services import FOR_EVER, python
with start(python(pathlib.Path({str(tmp_path)!r}), FOR_EVER)) as service:
    print(service.pid, flush=True)
    signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", runner], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    wait_until(
        lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE,
        what="the orphaned server is gone",
        ignoring=(psutil.NoSuchProcess,),
    )


def test_a_server_folder_goes_and_leaves_evidence_of_a_failure() -> None:
    """A server's folder is removed; after a failure its log stays, its data does not."""
    with server_folder("kept", keep=lambda: True) as kept, server_folder("gone") as gone:
        for folder in (kept, gone):
            (folder / "data").mkdir()
            (folder / "data" / "table").touch()
            (folder / "server.log").touch()
    assert [file.name for file in kept.iterdir()] == ["server.log"]
    assert not gone.exists()
    shutil.rmtree(kept)


@pytest.mark.redis
def test_redis_serves(redis_service: Service, redis_url: str) -> None:
    """A private Redis answers at its address and is empty."""
    assert redis_url == f"redis://127.0.0.1:{redis_service.port}/0"
    assert redis_says(redis_service.port, "DBSIZE") == ":0"


@pytest.mark.postgres
def test_postgres_serves_an_empty_database(postgres_url: str) -> None:
    """A private PostgreSQL gives each test a database of its own."""
    with psycopg.connect(postgres_url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert tables == (0,)


@pytest.mark.nginx
def test_nginx_serves_a_configuration(nginx: StartNginx, tmp_path: Path) -> None:
    """A private nginx needs no more than the part of a configuration the test is about."""
    port = free_port()
    service = nginx(f"http {{ server {{ listen 127.0.0.1:{port}; return 200 'from nginx'; }} }}")
    with closing(HTTPConnection("127.0.0.1", port)) as connection:
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"from nginx"
    assert (service.folder / "access.log").exists()


def test_nginx_configuration_keeps_what_it_says(tmp_path: Path) -> None:
    """What a configuration says already is not said twice, which nginx would refuse."""
    complete = complete_nginx("worker_processes 3;\nevents {}\nhttp { access_log off; }\n", tmp_path)
    assert complete.count("worker_processes") == 1
    assert complete.count("events") == 1
    assert complete.count("access_log") == 1
    assert f"pid {tmp_path}/nginx.pid;" in complete


@pytest.mark.chromium
def test_chromium_runs_scripts_and_takes_pictures(chromium: Chromium, tmp_path: Path) -> None:
    """The browser shows a page as its scripts left it, as HTML and as a picture."""
    page = tmp_path / "page.html"
    page.write_text("<body><script>document.body.append('6 times 7 is ' + 6 * 7)</script>")
    assert "6 times 7 is 42" in chromium.dom(page.as_uri())
    picture = chromium.screenshot(page.as_uri(), tmp_path / "page.png")
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.wrk
def test_wrk_is_there(wrk: Path) -> None:
    """The load generator can be run."""
    assert os.access(wrk, os.X_OK)
