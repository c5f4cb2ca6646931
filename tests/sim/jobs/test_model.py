"""The model checker's CI share: a sweep without a violation, and the planted bugs that it sees.

`python -m tests.sim.jobs.model` runs campaigns; docs/internals/job-lifecycle.md records them.
"""

from __future__ import annotations

import pytest

from tests.sim.jobs.bugs import BUGS, NOT_SEEN
from tests.sim.jobs.invariants import LETTERS
from tests.sim.jobs.search import draw, patched, run, shrink, sweep

# a seed at which each bug is seen, and by which invariant
SEEN = {
    "claim_no_at_session+no_stale": (190, "I-k"),
    "claim_no_at_job": (6, "I-u"),
    "n_reused": (17, "I-o"),
    "claim_no_at_parent": (31, "I-f"),
    "finish_no_fence": (132, "I-b"),
    "finish_no_at_job": (50, "I-f"),
    "permits_kept": (33, "I-d"),
    "permit_no_absent": (9, "I-d"),
    "loss_one_shot": (6, "I-l"),
    "loss_hearsay": (0, "I-l"),
    "loss_no_at_session": (6, "I-l"),
    "spawn_first": (2, "I-a"),
    "list_before_session": (139, "I-a"),
    "ack_on_reply": (6, "I-o"),
    "start_twice": (16, "I-a"),
    "old_hello": (1004, "I-o"),
    "conflict_forgotten": (299, "I-s"),
    "no_floor": (4, "I-s"),
    "no_floor+bucket_unchecked": (4, "I-s"),
    "inc_not_durable": (21, "I-s"),
    "no_resession": (6, "I-c"),
    "members_unchecked": (1234, "I-h"),
    "parent_unchecked": (3, "I-f"),
    "cancel_forgotten": (1, "I-c"),
    "never_spawned_ignored": (2, "I-c"),
    "sup_lost_ignored": (1, "I-c"),
    "orphans_left": (19, "I-n"),
    "reserve_dropped": (5, "I-k"),
    "cancel_unspawned": (196, "I-o"),
    "bucket_unchecked": (70, "I-j"),
    "hour_split": (424, "I-j"),
    "due_no_at_job": (3, "I-f"),
    "any_loss_any_time": (7, "I-l"),
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
)


@pytest.mark.parametrize("first", range(0, 1500, 250))
def test_no_schedule_breaks_an_invariant(first: int) -> None:
    result = sweep(first, first + 250)
    assert result.found == []
    assert result.commits > 5_000


def test_the_schedules_come_across_what_they_are_to_check() -> None:
    coverage = sweep(0, 400).coverage
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
        steps = shrink(9, draw(9), bug, "I-d", budget=60)
        assert len(steps) < 200
        _, found = run(9, steps, bug)
    assert found is not None and found.invariant == "I-d"
