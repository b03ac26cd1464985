"""Every link of the pages leads somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import ALL, anchors, links
from tests.support.gateway_process import ROOT


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_relative_links(page: Path) -> None:
    """A relative link names a file that is there, and a heading that is in it."""
    for link in links(page):
        if "://" in link:
            continue
        path, _, fragment = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not fragment or fragment in anchors(target), link


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.name)
def test_links_stay_inside_or_are_secure(page: Path) -> None:
    """A link to elsewhere is https, and one to here does not leave the project."""
    for link in links(page):
        if "://" in link:
            assert link.startswith("https://"), link
        elif not link.startswith("#"):
            assert (page.parent / link.partition("#")[0]).resolve().is_relative_to(ROOT), link


def test_index_names_every_page() -> None:
    """docs/README.md leads to every page of the folder."""
    index = ROOT / "docs/README.md"
    named = {link.partition("#")[0] for link in links(index)}
    assert {page.name for page in index.parent.glob("*.md")} - {"README.md"} <= named
