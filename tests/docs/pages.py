"""The pages of the documentation, and what the tests read from them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["ROOT", "Block", "anchors", "blocks", "links", "pages", "table"]

ROOT = Path(__file__).resolve().parents[2]

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUNNABLE = re.compile(
    r"<!-- test -->\s*\n(?P<fence>```(?P<language>\w+)\n(?P<code>.*?)^```$)",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


class Block(NamedTuple):
    """A runnable block: the line of its fence, its language and its code."""

    line: int
    language: str
    code: str


def pages() -> list[Path]:
    """Return the README, the changelog and every page under docs/."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks that a `<!-- test -->` line marks as runnable."""
    for found in RUNNABLE.finditer(text):
        line = text.count("\n", 0, found.start("fence")) + 1
        yield Block(line, found["language"], found["code"])


def links(text: str) -> Iterator[str]:
    """Yield the link targets of a page, those in code left out."""
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))
    yield from LINK.findall(prose)


def anchors(text: str) -> set[str]:
    """Return the fragments that a page's headings make: lower case, words joined by dashes."""
    headings = HEADING.findall(FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def table(page: str, title: str) -> list[list[str]]:
    """Return the rows of the table whose first column has this title."""
    found = re.search(rf"^\| {title} \|.*\n\|[-|]+\n((?:\|.*\n)+)", page, re.MULTILINE)
    assert found, title
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in found[1].splitlines()]
