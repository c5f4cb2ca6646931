"""Planted bugs: each leaves out one thing that the rules ask for, and an invariant sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import msgspec

from actors.core.dag import step_end, step_start
from actors.core.dag.end import end_run
from actors.core.store.txn import ABSENT, Txn

__all__ = ["BUGS", "Bug"]

# the package has a function of that name
advancing: Final[Any] = import_module("actors.core.dag.advance")

Cut = Callable[[Txn], Txn]


class Bug(NamedTuple):
    """What is left out of the transactions, or put in the place of a function."""

    cut: Cut
    where: Any = None
    name: str = ""
    instead: Any = None

    @contextmanager
    def planted(self) -> Iterator[Cut]:
        if self.where is None:
            yield self.cut
            return
        with patch.object(self.where, self.name, self.instead):
            yield self.cut


def _as_it_is(txn: Txn) -> Txn:
    return txn


def _without(prefix: str, *, absent: bool | None = None) -> Bug:
    def cut(txn: Txn) -> Txn:
        checks = tuple(
            (key, revision)
            for key, revision in txn.checks
            if not key.startswith(prefix) or (absent is not None and absent != (revision == ABSENT))
        )
        return msgspec.structs.replace(txn, checks=checks)

    return Bug(cut)


def _keeps_place(txn: Txn) -> Txn:
    ops = tuple(op for op in txn.ops if not (op[0].startswith("runslot/") and op[1] is None))
    return msgspec.structs.replace(txn, ops=ops)


def _ends_early(draft: Any, reuse: Any) -> None:
    """End the run once no main step is left to start."""
    advancing._start_ready(draft, draft.plan.graph.main, reuse)
    if all(name in draft.steps for name in draft.plan.graph.nodes):
        end_run(draft)


def _in_pairs(real: Any) -> Any:
    return lambda draft, name: real(draft, name) or draft.steps[name].state == "omitted"


def _blind_to_ends(view: Any, spec: Any, step: Any, now_ms: int) -> Any:
    return None if step.run else step_end.end_of_step(view, spec, step, now_ms)


BUGS: dict[str, Bug] = {
    # two nodes start the same step at once
    "start_unchecked": _without("step/", absent=True),
    # an end is written over another one
    "end_unchecked": _without("step/", absent=False),
    # a stop between the decision and its commit is passed over
    "stop_passed_over": _without("run/", absent=False),
    # two runs take one place of a limit
    "place_unchecked": _without("runslot/"),
    "place_kept": Bug(_keeps_place),
    # a step starts though what it waits for has not ended
    "waits_for_nothing": Bug(
        _as_it_is,
        advancing.Draft,
        "has_ended",
        lambda draft, name: draft.steps.get(name) is not None,
    ),
    "ends_early": Bug(_as_it_is, advancing, "_go_on", _ends_early),
    "finally_with_main": Bug(_as_it_is, advancing, "_is_stopped", lambda draft, name: False),
    "omitted_is_enough": Bug(
        _as_it_is, step_start, "is_satisfied", _in_pairs(step_start.is_satisfied)
    ),
    "sub_runs_never_end": Bug(_as_it_is, advancing, "end_of_step", _blind_to_ends),
    "hope_against_hope": Bug(
        _as_it_is, advancing, "is_hopeless", lambda spec, step, census: census.made > 0
    ),
}
