"""The newsletter's progress bar in a real browser, on the site served by `hotplate run` with its tasks."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from tests.examples.conftest import CALM, ROOT, places
from tests.support.browsing import Page, browsing
from tests.support.chromium import Chromium
from tests.support.gateway_process import ROOT as PROJECT
from tests.support.instance import Instance, environment, instance

pytestmark = [pytest.mark.chromium, pytest.mark.process]

# 100 subscribers, 4 seconds in all: time for a browser on a busy machine to open the page meanwhile.
SLOWLY = {"NEWSDESK_MODEL_MB": "1", "NEWSDESK_MAIL_MS": "40", "DATABASE_URL": ""}
WATCH = """
new MutationObserver(() => seen.push(document.querySelector("progress").value))
  .observe(document.querySelector("progress"), { attributes: true });
const seen = window.seen = [];
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """The well-written variant, served."""
    folder = tmp_path_factory.mktemp("bar")
    env = {**SLOWLY, **CALM, **places(folder / "data"), "PYTHONPATH": f"{PROJECT / 'src'}:{ROOT}"}
    seed = [sys.executable, "-m", "newsdesk.seed", "--articles", "400", "--variant", "app"]
    subprocess.run(seed, env=environment(env), cwd=folder, check=True)
    with instance(folder, "", "--workers", "2", "--task-workers", "1", target="newsdesk.app:app", env=env) as site:
        yield site


@pytest.fixture
def page(chromium: Chromium) -> Iterator[Page]:
    """A tab."""
    with browsing(chromium.path, chromium.folder) as page:
        yield page


def send(site: Instance, page: Page) -> None:
    """Click on the button, as people do."""
    page.go(f"http://127.0.0.1:{site.port}/newsletter")
    page.click("main button")
    page.wait_for("location.pathname.startsWith('/newsletters/') && document.querySelector('progress') !== null")


def watch_to_the_end(page: Page) -> list[float]:
    """What the bar stood at, one after the other."""
    page.run(WATCH)
    page.wait_for("document.querySelector('#count').textContent.startsWith('Sent: 100 of 100')")
    seen: list[float] = page.run("seen")
    assert seen == sorted(seen)
    assert page.run("document.querySelector('progress').value") == 100
    assert page.run("document.querySelector('[role=status]').textContent") == "Sent: 100 of 100 messages."
    return seen


def test_the_bar_moves_while_it_is_sent(site: Instance, page: Page, tmp_path: Path) -> None:
    """After a click the bar moves to its end by itself, as events come, without the page being loaded again."""
    page.look()
    send(site, page)
    first = page.run("performance.timeOrigin")
    seen = watch_to_the_end(page)
    assert len({value for value in seen if 0 < value < 100}) >= 2
    assert page.run("performance.timeOrigin") == first
    asked = page.run("performance.getEntriesByType('resource').map((entry) => entry.name.replace(/.*[/]/, ''))")
    assert [name for name in asked if name.count("-") == 4] == []  # the status page was not asked, events were enough
    assert page.screenshot(tmp_path / "sent.png").read_bytes().startswith(b"\x89PNG")


def test_the_bar_moves_where_events_do_not_come_through(site: Instance, page: Page) -> None:
    """Behind a proxy that lets no events through, the page asks once a second instead."""
    page.block("*/events")
    send(site, page)
    assert watch_to_the_end(page)


def test_the_bar_moves_without_scripts(site: Instance, page: Page) -> None:
    """Who lets no scripts run sees the bar of a page that loads itself anew."""
    page.without_scripts()
    page.go(f"http://127.0.0.1:{site.port}/newsletter")
    page.run("document.querySelector('main form').submit()")
    page.wait_for("document.querySelector('#count')?.textContent.startsWith('Sent: 100 of 100')")


def test_screen_readers_know_the_bar(site: Instance, page: Page) -> None:
    """The bar is a progressbar with a name and a value, and steps are announced by a status, not each message."""
    send(site, page)
    page.run("new MutationObserver(() => said.push(1)).observe(document.querySelector('[role=status]'), "
             "{ childList: true }); const said = window.said = [];")  # fmt: skip
    nodes = {node["role"]["value"]: node for node in page.accessibility()}
    assert nodes["progressbar"]["name"]["value"] == "Messages sent"
    assert "messages" in nodes["progressbar"]["description"]["value"]
    assert "status" in nodes
    watch_to_the_end(page)
    assert 1 <= page.run("said.length") <= 5


def test_the_page_fits(site: Instance, page: Page, tmp_path: Path) -> None:
    """On a phone as on a desk, by day and by night: no sideways scrolling, and a bar that stands out from the page."""
    page.look()
    send(site, page)
    page.wait_for("document.querySelector('progress').value >= 20")
    for dark, width in product((False, True), (320, 1280)):  # 320: WCAG 2.2, 1.4.10
        page.look(dark=dark, width=width, height=640)
        page.screenshot(tmp_path / f"{width}-{'dark' if dark else 'light'}.png")
        assert page.run("document.documentElement.scrollWidth <= innerWidth"), (dark, width)
        background, accent = page.run(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector('p a')).color]"
        )
        assert contrast(background, accent) >= 3, (dark, width)  # WCAG 2.2, 1.4.11, for what is not text
    page.wait_for("document.querySelector('#count').textContent.startsWith('Sent')")


def contrast(left: str, right: str) -> float:
    """The contrast ratio of two colours like "rgb(1, 2, 3)" (WCAG 2.2, definition of contrast ratio)."""

    def luminance(colour: str) -> float:
        shares = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
        red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(left), luminance(right)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
