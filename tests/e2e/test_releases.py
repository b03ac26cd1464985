"""Releases behind a symbolic link: started in `current`, it follows `current`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.instance import HELLO, environment, instance

HERE = (
    HELLO
    + """
@app.get("/here")
def here():
    return f"{os.getcwd()} {os.environ['PWD']} {__file__}"
"""
)


def releases(folder: Path) -> Path:
    """Make two releases, and `current`, which leads to the first."""
    for number in ("1", "2"):
        release = folder / "releases" / number
        release.mkdir(parents=True)
        (release / "app.py").write_text(HERE.replace('"1"', f'"{number}"'))
    current = folder / "current"
    current.symlink_to("releases/1")
    return current


def switch(current: Path, to: str) -> None:
    """Have `current` lead elsewhere, in one step, as deploy tools do."""
    following = current.with_name("following")
    following.symlink_to(to)
    following.replace(current)


def test_a_reload_serves_what_the_link_leads_to_now(tmp_path: Path) -> None:
    """The link is switched, `hotplate reload` in it finds the instance, and the new release serves, from its folder."""
    current = releases(tmp_path)
    with instance(current, "", "--workers", "1") as site:
        assert site.get().body == b"1"
        switch(current, "releases/2")
        assert site.get().body == b"1"
        status = site.status()
        assert status["folder"] == str(current)
        reloaded = site.command("reload")
        assert reloaded.returncode == 0, reloaded.stderr
        assert site.get().body == b"2"
        release = (tmp_path / "releases" / "2").resolve()
        assert site.get("/here").body.decode() == f"{release} {current} {release}/app.py"
        shutil.rmtree(tmp_path / "releases" / "1")  # old releases are tidied away
        assert site.command("reload").returncode == 0
        assert site.get().body == b"2"
        assert site.command("stop").returncode == 0


def test_a_link_that_leads_nowhere_leaves_the_old_release_serving(tmp_path: Path) -> None:
    """A reload says that the folder has gone; the next one, when it is back, succeeds."""
    current = releases(tmp_path)
    with instance(current, "", "--workers", "1") as site:
        current.unlink()
        answer = subprocess.run(
            [sys.executable, "-m", "hotplate", "reload", "--folder", str(current)],
            env=environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert answer.returncode == 2  # no such folder to look in
        switch(current, "releases/none")
        site.process.send_signal(1)
        site.until_logged(f"import the app from {current}")
        assert site.get().body == b"1"
        switch(current, "releases/2")
        assert site.command("reload").returncode == 0
        assert site.get().body == b"2"


def test_it_is_found_by_every_path_to_its_folder(tmp_path: Path) -> None:
    """Through the link, through the release itself, with --folder relative or absolute, with no PWD or a wrong one."""
    current = releases(tmp_path)
    with instance(current, "", "--workers", "1"):
        release = current.resolve()
        for folder, pwd, flags in (
            (current, str(current), ()),
            (current, "", ()),
            (release, str(release), ()),
            (release, "/", ()),
            (tmp_path, str(tmp_path), ("--folder", "current")),
            (release, str(release), ("--folder", "../../current")),
            (tmp_path, "", ("--folder", str(release))),
        ):
            answer = subprocess.run(
                [sys.executable, "-m", "hotplate", "status", *flags],
                cwd=folder, env=environment({"PWD": pwd}), capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert answer.returncode == 0, (folder, pwd, flags, answer.stderr)
        second = subprocess.run(
            [sys.executable, "-m", "hotplate", "run", "app:app", "--bind", "127.0.0.1:0"],
            cwd=release, env=environment({"PWD": str(release)}), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "it already runs" in second.stderr
