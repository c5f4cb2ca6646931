"""Backoffs, jitters, and which failures are tried again."""

from __future__ import annotations

import pytest

from actors.core.retry import backoff_ms, delay_ms, may_retry
from actors.model.spec import Retry


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [
        ("constant", [100, 100, 100, 100, 100]),
        ("linear", [100, 200, 300, 400, 500]),
        ("exponential", [100, 200, 400, 800, 1000]),
        ("fibonacci", [100, 100, 200, 300, 500]),
    ],
)
def test_backoffs(backoff: str, delays: list[int]) -> None:
    retry = Retry(9, backoff, 100, max_delay_ms=1000, jitter="none")  # type: ignore[arg-type]
    assert [delay_ms(retry, fails, 0, 0.9) for fails in range(1, 6)] == delays
    assert backoff_ms(retry, 10_000) <= 1000


@pytest.mark.parametrize(
    ("jitter", "low", "high"),
    [("none", 800, 800), ("full", 0, 800), ("equal", 400, 800), ("decorrelated", 100, 900)],
)
def test_jitters_stay_in_their_range_and_reach_its_ends(jitter: str, low: int, high: int) -> None:
    retry = Retry(9, "exponential", 100, max_delay_ms=1000, jitter=jitter)  # type: ignore[arg-type]
    drawn = [delay_ms(retry, 4, 300, step / 10_000) for step in range(10_000)]
    assert (min(drawn), max(drawn)) == (low, high)


@pytest.mark.parametrize(
    ("reason", "retry_on", "again"),
    [
        ("exit", ("failed",), True),
        ("signal", ("failed",), True),
        ("exit", ("timeout",), False),
        ("timeout", ("failed",), False),
        ("idle_timeout", ("timeout",), True),
        ("schedule_timeout", ("timeout",), True),
        ("node_lost", ("node_lost",), True),
        ("node_lost", ("failed",), False),
        ("oom", ("oom",), True),
        ("output", ("failed",), True),
        ("output_schema", ("failed", "timeout", "node_lost", "oom"), False),
    ],
)
def test_retry_on(reason: str, retry_on: tuple[str, ...], again: bool) -> None:
    assert may_retry(Retry(3, retry_on=retry_on), 1, reason, 1) is again


def test_no_retry_exit_and_the_last_attempt() -> None:
    retry = Retry(3, no_retry_exit=(2, 3))
    assert may_retry(retry, 2, "exit", 1)
    assert not may_retry(retry, 2, "exit", 3)
    assert not may_retry(retry, 3, "exit", 1)
