"""A page in a headless browser that is clicked on and watched while it lives, by the Chrome DevTools Protocol.

`chromium.py` takes pictures of pages on a clock of their own; this is for pages that wait for something real.

    with browsing(path, folder) as page:
        page.go(f"{base}/newsletter")
        page.click("button")
        page.wait_for("document.title === 'Sent'")

Protocol: https://chromedevtools.github.io/devtools-protocol/, domains Page, Runtime, Emulation and Network.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.support.waiting import DEADLINE, wait_until


class Page:
    """One tab."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._asked = 0
        self._say("Page.enable")

    def go(self, url: str) -> None:
        """Open an address, and wait until it is loaded."""
        # The page that is left says "complete" as well; a mark on its window tells them apart.
        self.run("window.left = true")
        self._say("Page.navigate", url=url)
        self.wait_for("!window.left && document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """Return what a JavaScript expression, or the promise that it is, comes to; None while a page is changing."""
        answer = self._say("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        return answer.get("result", {}).get("value")

    def wait_for(self, script: str) -> None:
        """Wait until a JavaScript expression is true."""
        wait_until(lambda: self.run(script), what=script)

    def click(self, selector: str) -> None:
        """Click on the first element that fits."""
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def look(self, *, dark: bool = False, width: int = 1280, height: int = 900) -> None:
        """Be a screen of a size in pixels, for people who want their pages light or dark."""
        scheme = "dark" if dark else "light"
        self._say("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        narrow = width < 600
        self._say("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=narrow)

    def block(self, *patterns: str) -> None:
        """Fail requests to addresses like these; `*` stands for anything."""
        self._say("Network.enable")
        self._say("Network.setBlockedURLs", urls=list(patterns))

    def without_scripts(self) -> None:
        """Run none of the pages' scripts from now on."""
        self._say("Emulation.setScriptExecutionDisabled", value=True)

    def screenshot(self, file: Path) -> Path:
        """Write a picture as PNG, and return its path."""
        file.write_bytes(base64.b64decode(self._say("Page.captureScreenshot", format="png")["data"]))
        return file

    def accessibility(self) -> list[dict[str, Any]]:
        """Return what the browser tells a screen reader: the nodes of the accessibility tree that it does not skip."""
        nodes: list[dict[str, Any]] = self._say("Accessibility.getFullAXTree")["nodes"]
        return [node for node in nodes if not node["ignored"]]

    def _say(self, method: str, **params: object) -> dict[str, Any]:
        self._asked += 1
        self._connection.send(json.dumps({"id": self._asked, "method": method, "params": params}))
        while True:
            answer = json.loads(self._connection.recv(DEADLINE))
            if answer.get("id") == self._asked:
                # A page that changes in the middle of a question takes the question with it.
                result: dict[str, Any] = answer.get("result", {})
                return result


@contextmanager
def browsing(path: Path, folder: Path, flags: Sequence[str] = ()) -> Iterator[Page]:
    """Start a browser with a fresh profile in `folder`, yield its page, and end it.

    Args:
        path: of the browser.
        folder: existing and ours.
        flags: more for its command line.
    """
    profile = folder / "browsing"
    command = [
        *(str(path), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),  # see chromium.py
        *("--disable-background-networking", "--disable-component-update", "--no-first-run", "--hide-scrollbars"),
        *("--remote-debugging-port=0", f"--user-data-dir={profile}", *flags, "about:blank"),
    ]
    with (folder / "browsing.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        told = profile / "DevToolsActivePort"  # written once it listens
        wait_until(lambda: told.exists() and told.read_text().count("\n"), what="the browser listens")
        port = told.read_text().splitlines()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=DEADLINE) as answer:
            tab = next(target for target in json.load(answer) if target["type"] == "page")
        with connect(tab["webSocketDebuggerUrl"], max_size=None) as connection:
            yield Page(connection)
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # the group is ours: its first process is the one we started
        process.wait(DEADLINE)
