"""Let a pending run begin, or have it wait: at most `max` runs of a key go at a time.

Rules of this file:
L1  absent(runslot/<hash>/<i>) for one free i < max: two runs never take one place, whoever decides.
L2  The place goes in the transaction that ends the run (end.py), so that none leaks.
L3  Each pipeline has keys of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from actors.core.dag.draft import Draft
from actors.core.dag.path import MISSING, follow
from actors.core.dag.states import move_run
from actors.core.dag.stop import stop
from actors.core.dag.template import Ref, as_text, fill
from actors.core.permits import key_hash
from actors.core.view import View
from actors.model import keys
from actors.model.pipeline import PipelineSpec, RunLimit
from actors.model.run import Run, RunSlot, RunState

__all__ = ["admit", "line_of"]


def admit(draft: Draft) -> bool:
    """Say whether the run goes from now on; if not, the draft has what becomes of it."""
    run = draft.run
    if run.stop_ms:
        _end(draft, "cancel", "cancelled", "cancelled", run.stop_reason)
        return False
    limit, slot = draft.plan.spec.concurrency, ""
    if limit is not None:
        key = _of_inputs(limit, run)
        hashed = key_hash(key)
        slot = _free_place(draft.view, hashed, limit.max)
        if not slot:
            _wait(draft, limit, key)
            return False
        draft.take(slot, RunSlot(key, draft.run_id))
    began = move_run(
        run, "begin", "running", now_ms=draft.now_ms, started_ms=draft.now_ms, slot=slot, reason=""
    )
    draft.put_run(began, "started")
    return True


def line_of(spec: PipelineSpec, run: Run) -> str:
    """Return the prefix of the places that a run of a limited pipeline waits for, "" without one.

    What names the line is of the run's own inputs, so that it never moves.
    """
    if spec.concurrency is None:
        return ""
    return keys.run_slots_of(key_hash(_of_inputs(spec.concurrency, run)))


def _of_inputs(limit: RunLimit, run: Run) -> str:
    def resolve(ref: Ref) -> Any:
        found = follow(run.inputs, ref.path)
        return None if found is MISSING else found

    return f"{run.pipeline} {as_text(fill(limit.key, resolve))}"


def _free_place(view: View, hashed: str, most: int) -> str:
    places = (keys.run_slot(hashed, i) for i in range(most))
    return next((key for key in places if view.get(key) is None), "")


def _holders(view: View, hashed: str) -> Iterator[str]:
    for _, entry in view.scan(keys.run_slots_of(hashed)):
        yield entry.noun.run


def _wait(draft: Draft, limit: RunLimit, key: str) -> None:
    """Do what `on_limit` says of a run that finds no room."""
    detail = f"{limit.max} other runs go already"
    match limit.on_limit:
        case "cancel_new":
            _end(draft, "limit", "cancelled", "concurrency", detail)
            return
        case "fail":
            _end(draft, "limit", "failed", "concurrency", detail)
            return
        case "cancel_running":
            _stop_oldest(draft, key_hash(key))
    if draft.run.reason != "concurrency":
        draft.put_run(msgspec.structs.replace(draft.run, reason="concurrency", detail=detail))


def _stop_oldest(draft: Draft, hashed: str) -> None:
    """Ask the oldest run that goes to end, if it is older and none is on its way out."""
    older = []
    for run_id in _holders(draft.view, hashed):
        entry = draft.view.get(keys.run(run_id))
        if entry is None:
            continue
        if entry.noun.stop_ms:
            return
        if run_id < draft.run_id:
            older.append(run_id)
    txn = stop(draft.view, min(older), "concurrency", draft.now_ms) if older else None
    if txn is not None:
        draft.merge(txn)


def _end(draft: Draft, cause: str, target: RunState, reason: str, detail: str) -> None:
    ended = move_run(draft.run, cause, target, now_ms=draft.now_ms, reason=reason, detail=detail)
    draft.put_run(ended, target)
