"""What an attempt or a client says is bounded: no end is refused for its size."""

from __future__ import annotations

from typing import Any

import pytest

from actors import limits
from actors.core import job
from actors.core.consensus.group import check_bounds
from actors.core.store.txn import Txn
from actors.errors import InvalidInput
from actors.model.event import EventDraft
from actors.model.spec import Retry
from tests.unit.jobs.given import Given

HUGE = "€" * limits.VALUE_BYTES
LABELS = {f"label-{n}": "x" * 63 for n in range(500)}  # about as much as a spec holds


def fits(txn: object) -> Txn:
    """The group orders it."""
    assert isinstance(txn, Txn)
    check_bounds(txn)
    return txn


def test_an_attempt_that_says_too_much_ends() -> None:
    given = Given()
    attempts = limits.ATTEMPT_SUMMARIES + 2
    job_id = given.accept(retry=Retry(max_attempts=attempts, delay_ms=0), labels=LABELS)
    for n in range(1, attempts + 1):
        attempt = given.claim(job_id)
        ending = job.Ending("failed", "spawn", detail=HUGE)
        given.commit(fits(job.finish(given.state, attempt, ending, now_ms=given.now, rand=0.5)))
        if n < attempts:
            given.due(f"job/{job_id}")
    assert given.job(job_id).state == "failed"
    assert given.job(job_id).detail.startswith("€€€")


def test_a_job_that_is_cancelled_with_a_long_word_ends() -> None:
    given = Given()
    job_id = given.accept(labels=LABELS)
    attempt = given.claim(job_id)
    given.commit(fits(job.cancel(given.state, job_id, HUGE, given.now)))
    action = job.slot_action(given.state, attempt, job.Held("running"), "s1", now_ms=given.now)
    assert isinstance(action, job.Kill)
    ending = job.Ending("cancelled", action.reason, detail=HUGE)
    given.commit(fits(job.finish(given.state, attempt, ending, now_ms=given.now, rand=0.5)))
    assert given.job(job_id).state == "cancelled"


def test_a_waiting_job_is_cancelled_with_a_long_word() -> None:
    given = Given()
    job_id = given.accept(labels=LABELS)
    given.commit(fits(job.cancel(given.state, job_id, HUGE, given.now)))
    assert given.job(job_id).state == "cancelled"


def _deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("value", [1 << 64, -(1 << 63) - 1, object(), "\ud800", _deep(10_000)])
def test_what_can_not_be_encoded_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput):
        check_bounds(Txn((), (), (EventDraft("x", "", {"v": value}),)))
