"""The decisions' transactions, byte for byte as they were reviewed."""

from __future__ import annotations

import pytest

from tests.golden.jobs.transcript import SCENARIOS, golden, transcript


@pytest.mark.parametrize("name", SCENARIOS)
def test_transcript(name: str) -> None:
    assert transcript(name) == golden(name).read_text()
