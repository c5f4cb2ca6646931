# ruff: noqa: T201 -- a program: it prints its findings
"""Planted bugs: each takes one duty away from the product, and a scenario or a seed sees it.

None is a branch of the product: a bug is a patch of a function, for the time of a run.

python -m tests.sim.cluster.bugs        # what sees each
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest import mock

from actors import home as home_module
from actors import scheduler as scheduler_module
from actors.core import launch, placement, room
from actors.core.failure_detector import FailureDetector
from actors.core.job import slot_action
from actors.core.room import ClaimTurns, Room
from actors.core.turns import Turns
from actors.errors import JobdError
from actors.executor_slot import ExecutorSlot
from actors.home import Home
from actors.scheduler import Scheduler
from actors.task_set import TaskSet
from tests.sim.cluster.scenarios import SCENARIOS
from tests.sim.violation import ViolationError

__all__ = ["BUGS", "Bug", "hunt", "planted"]


class Bug(NamedTuple):
    """`owner.name` becomes `plant(original)`, at each of `places`; `scenario` sees it."""

    name: str
    what: str
    places: tuple[tuple[Any, str], ...]
    plant: Any
    scenario: str


def _nothing(real: Any) -> Any:
    return lambda *_: None


def _no_effects(real: Any) -> Any:
    return lambda *_: iter(())


def _never(real: Any) -> Any:
    return lambda *_: False


def _no_reasons(real: Any) -> Any:
    return lambda *_: []


def _only_own_turns(real: Any) -> Any:
    def take(self: Turns, now_ms: int, limit: int) -> tuple[list[str], bool]:
        due, busy = real(self, now_ms, limit)
        return [key for key in due if self._homes.rank(self._home_key(key)) == 0], busy

    return take


def _own_word(real: Any) -> Any:
    def condemned(self: FailureDetector, node: str, now_ms: int) -> bool:
        return node != self._node and self._silent_ms(node, now_ms) >= self._timeout_ms

    return condemned


def _as_failed(real: Any) -> Any:
    return lambda failed, why: failed


def _only_home(real: Any) -> Any:
    def in_turn(self: TaskSet) -> Any:
        return None if self._homes.wait_ms(f"job/{self._job_id}") else real(self)

    return in_turn


def _own_history(real: Any) -> Any:
    return lambda recorded, voters: max(recorded.values())


def _all_at_once(real: Any) -> Any:
    def turns(self: ClaimTurns, placed: Any, now_ms: int) -> Any:
        return [(found.job_id, found.task_index) for found in placed], None

    return turns


def _first_only(real: Any) -> Any:
    def turns(self: ClaimTurns, placed: Any, now_ms: int) -> Any:
        mine = [found for found in placed if found.nodes[0] == self._node]
        return [(found.job_id, found.task_index) for found in mine], None

    return turns


def _as_said(real: Any) -> Any:
    return lambda self, node, said: said


_slot = sys.modules[slot_action.__module__]
_ALL = (
    Bug("anywhere", "a node claims what its job does not allow there",
        ((placement, "_wrong_node"),), _no_reasons, "jobs_go_where_they_may_and_are_spread"),
    Bug("own_word", "a node is lost on the word of one",
        ((FailureDetector, "_is_condemned"),), _own_word, "who_is_deaf_accuses_nobody"),
    Bug("sessions_missed", "the home does not look at what is lost",
        ((Home, "_session_changed"),), _nothing, "a_dead_nodes_jobs_go_on_elsewhere"),
    Bug("no_takeover", "only its home decides for an entity",
        ((Turns, "take"),), _only_own_turns, "another_node_decides_when_the_home_does_not"),
    Bug("fan_out_by_home", "only its home goes on with a fan-out",
        ((TaskSet, "_in_turn"),), _only_home, "a_fan_out_goes_on_without_its_home"),
    Bug("own_history", "records are evicted that only one history has",
        ((home_module, "watermark"),), _own_history,
        "nothing_is_evicted_before_a_majority_has_it_in_history"),
    Bug("drain_forgotten", "the slots of a node that drains let run what is to end",
        ((_slot, "drain_ends"),), _never, "a_drain_ends_what_runs_and_takes_nothing"),
    Bug("cordon_ignored", "a cordoned node claims",
        ((scheduler_module, "cordoned"), (room, "cordoned")), _never,
        "a_drain_ends_what_runs_and_takes_nothing"),
    Bug("isolation_ignored", "a node that is cut off lets run what asks to be ended",
        ((Scheduler, "cut_off"),), _no_effects, "a_node_that_is_cut_off_ends_what_asks_for_it"),
    Bug("late_untold", "a late result is forgotten",
        ((ExecutorSlot, "_tell_late_result"),), _no_effects,
        "a_late_result_is_told_and_changes_nothing"),
    Bug("preemption_fails", "what a drain ends counts as a failure",
        ((launch, "_killed"),), _as_failed, "a_drain_ends_what_runs_and_takes_nothing"),
    Bug("first_only", "what ranks another node first is left to it for ever",
        ((ClaimTurns, "of"),), _first_only, "a_frozen_best_node_costs_a_moment"),
    Bug("all_at_once", "every node claims all that is placed, whatever its rank",
        ((ClaimTurns, "of"),), _all_at_once, "nodes_share_a_queue_and_seldom_claim_the_same"),
    Bug("as_said", "what others have free is taken from their heartbeats",
        ((Room, "_of"),), _as_said, "nodes_share_a_queue_and_seldom_claim_the_same"),
)  # fmt: skip
BUGS = {bug.name: bug for bug in _ALL}


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """Have the product with a bug."""
    with ExitStack() as stack:
        for owner, name in bug.places:
            real = getattr(owner, name)
            if isinstance(owner, type) and name in ("cut_off",):
                kinds = owner._handlers  # type: ignore[attr-defined]
                kind = next(kind for kind, handler in kinds.items() if handler is real)
                stack.enter_context(mock.patch.dict(kinds, {kind: bug.plant(real)}))
            else:
                stack.enter_context(mock.patch.object(owner, name, bug.plant(real)))
        yield


def hunt(bug: Bug) -> str:
    """Return how its scenario sees a bug, "" if it does not."""
    with planted(bug):
        try:
            SCENARIOS[bug.scenario]()
        except (AssertionError, ViolationError, JobdError) as error:
            return str(error) or repr(error)
    return ""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Hunt the planted bugs.")
    parser.add_argument("names", nargs="*", default=list(BUGS), metavar="BUG")
    options = parser.parse_args(argv)
    logging.disable(logging.CRITICAL)
    missed = 0
    for name in options.names:
        seen = hunt(BUGS[name])
        missed += not seen
        print(f"{name:20} {seen[:140] or 'NOT SEEN'}", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
