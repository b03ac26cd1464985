"""A headless browser, for what only a browser can tell: how a page looks, and what its scripts make of it."""

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

# A cold start on a starved machine; a page normally takes a second or two.
_TIMEOUT = 90.0


@dataclass(frozen=True)
class Chromium:
    """Drives one browser, a fresh profile per call.

    Args:
        path: of the browser.
        folder: existing and ours; profiles and logs go there.

    Example:
        chromium.screenshot(f"{base}/", tmp_path / "front.png", width=390, height=844)
    """

    path: Path
    folder: Path

    def screenshot(self, url: str, file: Path, *, width: int = 1280, height: int = 900, settle: float = 2.0) -> Path:
        """Writes a picture of a page as PNG and returns its path.

        Args:
            url: of the page.
            file: to write.
            width: of the window, in pixels.
            height: of the window, in pixels.
            settle: seconds the page's own clock runs before the picture; a virtual clock, so it costs no such time.

        Raises:
            AssertionError: no picture came about; the browser's own words are in the message.
        """
        said = self._run(f"--screenshot={file}", f"--window-size={width},{height}", url, settle=settle)
        assert file.exists(), f"no picture of {url}:\n{said}"
        return file

    def dom(self, url: str, *, settle: float = 2.0) -> str:
        """Returns a page's HTML after its scripts ran for `settle` seconds of its own clock."""
        return self._run("--dump-dom", url, settle=settle)

    def _run(self, *arguments: str, settle: float) -> str:
        profile = self.folder / f"profile-{len(list(self.folder.iterdir()))}"
        log = profile.with_suffix(".log")
        command = [
            str(self.path),
            "--headless=new",
            "--no-sandbox",  # its sandbox refuses root, and many containers refuse its sandbox
            "--disable-gpu",
            "--disable-dev-shm-usage",  # 64 MB in many containers
            "--disable-background-networking",
            "--disable-component-update",
            "--hide-scrollbars",
            "--no-first-run",
            f"--user-data-dir={profile}",
            f"--virtual-time-budget={int(settle * 1000)}",
            *arguments,
        ]
        with log.open("wb") as errors:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        try:
            output, _ = process.communicate(timeout=_TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # the group is ours: its first process is the one we started
            process.communicate()
            raise
        text = output.decode(errors="replace")
        assert process.returncode == 0, f"chromium ended with {process.returncode}:\n{log.read_text(errors='replace')}"
        return text or log.read_text(errors="replace")
