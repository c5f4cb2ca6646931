"""Floods of refusals are counted, not written."""

from __future__ import annotations

from actors import limits
from actors.core.audit import WINDOW_MS, AuditDraft, Refusals


def refusal(now_ms: int, remote: str = "10.0.0.1", outcome: str = "unauthenticated") -> AuditDraft:
    return AuditDraft(
        time_ms=now_ms, operation="get_job", decision="denied", remote=remote, outcome=outcome
    )


def test_the_first_is_written_at_once_and_repeats_as_one_count() -> None:
    refusals = Refusals()
    assert [r.count for r in refusals.take(refusal(0))] == [1]
    assert all(refusals.take(refusal(t)) == [] for t in range(1, 1000))
    assert refusals.end(WINDOW_MS - 1) == []
    assert [(r.count, r.time_ms) for r in refusals.end(WINDOW_MS)] == [(999, 999)]
    assert not refusals.is_open
    assert [r.count for r in refusals.take(refusal(WINDOW_MS + 1))] == [1]


def test_kinds_are_told_apart() -> None:
    refusals = Refusals()
    assert refusals.take(refusal(0, "a")) and refusals.take(refusal(0, "b"))
    assert refusals.take(refusal(0, "a", "forbidden"))
    assert refusals.end(WINDOW_MS) == []


def test_what_comes_from_everywhere_is_bounded() -> None:
    refusals = Refusals()
    written = [r for i in range(100_000) for r in refusals.take(refusal(i // 2000, f"remote {i}"))]
    written += refusals.end(WINDOW_MS)
    assert len(written) == limits.AUDIT_REFUSALS + 1
    assert sum(r.count for r in written) == 100_000


def test_each_window_is_ended_by_the_next_refusal() -> None:
    refusals = Refusals()
    written = []
    for minute in range(60):
        for _ in range(100):
            written += refusals.take(refusal(minute * WINDOW_MS))
    assert len(written) == 60 + 59
    assert sum(r.count for r in written) + 99 == 6000


def test_a_clock_that_is_set_back_ends_the_window() -> None:
    refusals = Refusals()
    refusals.take(refusal(WINDOW_MS * 10))
    refusals.take(refusal(WINDOW_MS * 10))
    assert len(refusals.take(refusal(5))) == 2
