"""Artifacts go by their age and their size, and none that the store may still have."""

from __future__ import annotations

import os
from pathlib import Path

from actors import limits
from actors.backends.artifacts import Artifacts
from actors.model.ids import make_id

NOW_MS = 1_800_000_000_000
HOUR_S = 3600


def taken(tmp_path: Path, ages_s: dict[int, int], size: int = 100) -> Artifacts:
    """Return artifacts of jobs by number, each with an output of that age."""
    artifacts = Artifacts(tmp_path / "artifacts")
    (tmp_path / "artifacts").mkdir()
    for number, age_s in ages_s.items():
        source = tmp_path / "output"
        source.write_bytes(b"7" * size)
        artifacts.take(job(number), 0, source)
        moment = NOW_MS / 1000 - age_s
        os.utime(tmp_path / "artifacts" / job(number), (moment, moment))
    return artifacts


def job(number: int) -> str:
    return make_id(NOW_MS, number)


def test_what_is_past_its_age_goes(tmp_path: Path) -> None:
    artifacts = taken(tmp_path, {1: 2 * HOUR_S, 2: 26 * HOUR_S, 3: 30 * HOUR_S})
    assert artifacts.prune(NOW_MS, 24 * HOUR_S, 1 << 30) == 2
    assert artifacts.jobs() == {job(1)}


def test_the_oldest_go_when_they_are_too_large(tmp_path: Path) -> None:
    artifacts = taken(tmp_path, {1: 2 * HOUR_S, 2: 3 * HOUR_S, 3: 4 * HOUR_S})
    assert artifacts.prune(NOW_MS, 24 * HOUR_S, 250) == 1
    assert artifacts.jobs() == {job(1), job(2)}


def test_what_the_store_may_still_have_stays_however_large(tmp_path: Path) -> None:
    young_s = limits.TERMINAL_KEEP_S - 60
    artifacts = taken(tmp_path, {1: 0, 2: young_s, 3: young_s})
    assert artifacts.prune(NOW_MS, 24 * HOUR_S, 150) == 0
    assert len(artifacts.jobs()) == 3
