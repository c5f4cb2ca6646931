"""The model checker's CI share: a sweep without a violation, and the planted bugs that it sees.

`python -m tests.sim.jobs.model` runs campaigns; docs/internals/job-lifecycle.md records them.
"""

from __future__ import annotations

from collections import Counter
from multiprocessing.pool import Pool

import pytest

from tests.sim.jobs.bugs import BUGS, NOT_SEEN
from tests.sim.jobs.invariants import LETTERS
from tests.sim.jobs.search import Sweep, draw, patched, run, shrink, sweep

# a seed at which each bug is seen, and by which invariant
SEEN = {
    "claim_no_at_session+no_stale": (5473, "I-k"),
    "claim_no_at_job": (16, "I-f"),
    "n_reused": (0, "I-o"),
    "claim_no_at_parent": (75, "I-f"),
    "finish_no_fence": (161, "I-b"),
    "finish_no_at_job": (24, "I-f"),
    "permits_kept": (0, "I-d"),
    "permit_no_absent": (3, "I-d"),
    "loss_one_shot": (77, "I-l"),
    "loss_hearsay": (0, "I-l"),
    "loss_no_at_session": (75, "I-l"),
    "spawn_first": (0, "I-a"),
    "list_before_session": (2, "I-a"),
    "ack_on_reply": (6, "I-o"),
    "start_twice": (2, "I-a"),
    "old_hello": (3908, "I-o"),
    "conflict_forgotten": (1303, "I-s"),
    "no_floor": (3, "I-s"),
    "no_floor+bucket_unchecked": (3, "I-s"),
    "inc_not_durable": (7, "I-s"),
    "no_resession": (27, "I-c"),
    "members_unchecked": (409, "I-h"),
    "parent_unchecked": (3, "I-f"),
    "cancel_forgotten": (1, "I-c"),
    "never_spawned_ignored": (2, "I-c"),
    "sup_lost_ignored": (0, "I-c"),
    "orphans_left": (233, "I-n"),
    "reserve_dropped": (5, "I-k"),
    "cancel_unspawned": (310, "I-o"),
    "bucket_unchecked": (97, "I-j"),
    "hour_split": (11121, "I-j"),
    "due_no_at_job": (3, "I-f"),
    "late_unchecked": (7, "I-f"),
    "any_loss_any_time": (0, "I-l"),
}
# what the schedules must come across, or they check nothing of it
_COVERED = (
    "finish of an attempt claimed in an earlier session",
    "finish from an exit record whose supervisor died",
    "attempt reported lost by its own node",
    "attempt of a lost node ended by another",
    "ditto, its process runs on",
    "kill of an attempt never started",
    "kill of a superseded running attempt",
    "job expired (expired)",
    "job failed (timeout)",
    "job failed (concurrency)",
    "job cancelled (concurrency)",
    "task cancelled (fail_fast)",
    "compact Committed",
    "attempt ended by a drain",
    "late result of an open record",
)


@pytest.fixture(scope="module")
def swept(pool: Pool) -> list[Sweep]:
    return pool.starmap(sweep, [(first, first + 50) for first in range(0, 1_500, 50)], chunksize=1)


def test_no_schedule_breaks_an_invariant(swept: list[Sweep]) -> None:
    assert [found for sweep in swept for found in sweep.found] == []
    assert sum(sweep.commits for sweep in swept) > 30_000


def test_the_schedules_come_across_what_they_are_to_check(swept: list[Sweep]) -> None:
    coverage = sum((sweep.coverage for sweep in swept), Counter[str]())
    assert [what for what in _COVERED if not coverage[what]] == []


def test_every_bug_has_a_seed_or_a_reason() -> None:
    assert set(SEEN) | set(NOT_SEEN) == set(BUGS)
    assert not set(SEEN) & set(NOT_SEEN)
    assert {letter for _, letter in SEEN.values()} <= set(LETTERS)


@pytest.mark.parametrize("name", SEEN)
def test_a_planted_bug_is_seen(name: str) -> None:
    seed, invariant = SEEN[name]
    with patched(BUGS[name]):
        _, found = run(seed, draw(seed), BUGS[name])
    assert found is not None and found.invariant == invariant


def test_the_same_seed_is_the_same_run() -> None:
    with patched():
        traces: list[list[str]] = [[], []]
        for trace in traces:
            run(11, draw(11), trace=trace)
    assert traces[0] == traces[1]
    assert len(traces[0]) > 100


def test_a_violation_shrinks_and_stays() -> None:
    bug = BUGS["permit_no_absent"]
    with patched(bug):
        steps = shrink(3, draw(3), bug, "I-d", budget=60)
        assert len(steps) < 200
        _, found = run(3, steps, bug)
    assert found is not None and found.invariant == "I-d"
