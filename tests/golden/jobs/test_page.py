"""docs/internals/job-lifecycle.md shows the tables that the code runs on."""

from __future__ import annotations

from tests.golden.jobs.page import PAGE, current


def test_the_page_is_current() -> None:
    text = PAGE.read_text()
    assert current(text) == text, "run: python -m tests.golden.jobs.page"
