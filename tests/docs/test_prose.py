"""Tables that people wrote name what the code has, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from actors import addresses
from actors.core.supervisor_protocol import ExitReason
from actors.model.codec import NOUNS
from tests.docs.pages import ROOT, table

DOCS = ROOT / "docs"


def first_column(page: Path, title: str) -> set[str]:
    """Return what stands in backquotes in the first column of a table."""
    rows = table(page.read_text("utf-8"), title)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row[0])}


def test_every_actor_has_a_row() -> None:
    constants = {value for name, value in vars(addresses).items() if name.isupper()}
    entities = {
        addresses.slot(0).replace("0", "<i>"),
        addresses.task_set("<job>"),
        addresses.pipeline_run("<id>"),
    }
    page = DOCS / "internals" / "architecture.md"
    assert first_column(page, "address") == constants | entities


def test_every_kind_of_key_is_named() -> None:
    page = (DOCS / "internals" / "architecture.md").read_text("utf-8")
    listed = re.search(r"^Kinds of keys: (.*?)\. ", page, re.MULTILINE | re.DOTALL)
    assert listed
    assert set(re.findall(r"`(\w+)`", listed[1])) == set(NOUNS)


def test_every_way_to_end_is_explained() -> None:
    # What the job supervisor calls so has another name in the store.
    renamed = {"killed": "cancelled", "lost": "node_lost"}
    reasons = {renamed.get(reason, reason) for reason in get_args(ExitReason)}
    assert reasons <= first_column(DOCS / "guides" / "errors.md", "reason")
