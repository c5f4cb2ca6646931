"""Every link inside the documentation leads somewhere, and every page can be reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import ROOT, anchors, links, pages


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def target(page: Path, link: str) -> Path:
    path = link.partition("#")[0]
    return (page.parent / path).resolve() if path else page


def internal(page: Path) -> list[str]:
    return [link for link in links(page.read_text("utf-8")) if "://" not in link]


@pytest.mark.parametrize("page", pages(), ids=name)
def test_links_resolve(page: Path) -> None:
    for link in internal(page):
        path = target(page, link)
        assert path.exists(), f"{name(page)}: {link} does not exist"
        fragment = link.partition("#")[2]
        if fragment and path.suffix == ".md":
            assert fragment in anchors(path.read_text("utf-8")), f"{name(page)}: no {link}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    queue = [ROOT / "README.md"]
    while queue:
        page = queue.pop()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        queue += [target(page, link) for link in internal(page)]
    assert [name(page) for page in pages() if page not in seen] == []


def test_a_link_in_code_is_no_link() -> None:
    text = "[a](b.md) `[c](d.md)`\n```\n[e](f.md)\n```\n"
    assert list(links(text)) == ["b.md"]


def test_anchors_are_those_of_headings() -> None:
    assert anchors("# A page's name\n## `jobd` start\n") == {"a-pages-name", "jobd-start"}
