"""R4: every case of store against supervisor."""

from __future__ import annotations

import pytest

from actors.core import job
from actors.core.job import Ack, Ending, Finish, Held, Kill, Leave, ReportLost, Start
from tests.unit.jobs.given import Given

DONE = Held("exited", Ending("succeeded", "exit", 0))
REGISTERED, RUNNING = Held("registered"), Held("running")


@pytest.mark.parametrize(
    ("held", "instance", "stop", "action"),
    [
        (None, "s1", False, Start()),
        (REGISTERED, "s1", False, Leave()),
        (RUNNING, "s1", False, Leave()),
        (DONE, "s1", False, Finish(DONE.ending)),  # type: ignore[arg-type]
        (None, "s1", True, Kill("user")),
        (REGISTERED, "s1", True, Kill("user")),
        (RUNNING, "s1", True, Kill("user")),
        (DONE, "s1", True, Finish(DONE.ending)),  # type: ignore[arg-type]
        (None, "s2", False, ReportLost()),
        (None, "s2", True, ReportLost()),
        (DONE, "s2", False, Finish(DONE.ending)),  # type: ignore[arg-type]
    ],
)
def test_the_store_has_it(
    held: Held | None, instance: str, stop: bool, action: job.SlotAction
) -> None:
    given = Given()
    job_id = given.accept()
    attempt = given.claim(job_id)
    if stop:
        given.commit(job.cancel(given.state, job_id, "user", given.now))
    assert job.slot_action(given.state, attempt, held, instance, now_ms=given.now) == action


@pytest.mark.parametrize(
    ("held", "action"),
    [
        (None, Leave()),
        (REGISTERED, Kill("superseded")),
        (RUNNING, Kill("superseded")),
        (DONE, Ack()),
    ],
)
def test_the_store_has_it_no_more(held: Held | None, action: job.SlotAction) -> None:
    given = Given()
    attempt = given.claim(given.accept())
    given.finish(attempt)
    assert job.slot_action(given.state, attempt, held, "s1", now_ms=given.now) == action
