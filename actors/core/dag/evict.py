"""Evict ended runs: with their steps first, by age, and the oldest first when there are too many.

Rules of this file:
E1  A run goes at(run), in a closed bucket of ids, as a job does (R11); its steps go before it, so
    that what is left is always found.
E2  What an open run takes over from stays (rerun.py, R3), and a sub-run stays as long as the run
    that it is part of: that one reads its outputs.
E3  The jobs of a run stay as long as it; `Retention.hold` keeps them until then.
"""

from __future__ import annotations

from collections.abc import Iterable

from sortedcontainers import SortedList

from actors import limits
from actors.core import buckets
from actors.core.store.txn import Check, Op, Txn, at
from actors.core.view import View
from actors.model import keys
from actors.model.run import RUN_TERMINAL, Run

__all__ = ["RunRetention", "evict_runs"]


def evict_runs(view: View, run_ids: Iterable[str], *, now_ms: int) -> Txn | None:
    """Return the next transaction that evicts these runs, None when none of them can go."""
    taken_over = {
        other
        for _, entry in view.scan("run/")
        if entry.noun.state not in RUN_TERMINAL
        for other in entry.noun.reuses
    }
    going = [
        (run_id, entry.revision)
        for run_id in run_ids
        for entry in [view.get(keys.run(run_id))]
        if entry is not None
        and entry.noun.state in RUN_TERMINAL
        and buckets.is_over(run_id, now_ms)
        and run_id not in taken_over
        and (not entry.noun.of_run or view.get(keys.run(entry.noun.of_run)) is None)
    ]
    unclosed = [run_id for run_id, _ in going if not buckets.is_closed(view, run_id)]
    if unclosed:
        return buckets.close(unclosed[: limits.TXN_OPS], now_ms)
    checks: list[Check] = []
    ops: list[Op] = []
    for run_id, revision in going:
        room = limits.TXN_OPS - len(ops)
        steps = [key for key, _ in view.scan(keys.steps_of(run_id))][: room + 1]
        gone = [*steps, keys.run(run_id)][: room + 1]
        if len(gone) > room and ops:
            break
        checks.append(at(keys.run(run_id), revision))
        ops.extend((key, None) for key in gone[:room])
        if len(gone) > room:
            break
    return Txn(tuple(checks), tuple(ops), now_ms=now_ms) if ops else None


class RunRetention:
    """The ended runs in the order of their ends: which are too old or too many.

    An index kept from the feed; sub-runs wait in it until the run that they are part of has gone.
    """

    def __init__(self) -> None:
        self._ended_ms: dict[str, int] = {}
        self._order: SortedList = SortedList()
        self._parts: dict[str, dict[str, int]] = {}  # run → its ended sub-runs, by their ends

    def add(self, run_id: str, run: Run, *, is_part: bool) -> None:
        """Add a run that has ended; `is_part`: the run that it belongs to is still there."""
        if is_part:
            self._parts.setdefault(run.of_run, {})[run_id] = run.since_ms
        elif run_id not in self._ended_ms:
            self._ended_ms[run_id] = run.since_ms
            self._order.add((run.since_ms, run_id))

    def discard(self, run_id: str) -> None:
        """Take an evicted run out; its parts may go from now on."""
        ended_ms = self._ended_ms.pop(run_id, None)
        if ended_ms is not None:
            self._order.remove((ended_ms, run_id))
        for part, part_ms in self._parts.pop(run_id, {}).items():
            self._ended_ms[part] = part_ms
            self._order.add((part_ms, part))

    def next_ms(self) -> int | None:
        """When the oldest is too old, None when there is none."""
        return self._order[0][0] + limits.TERMINAL_KEEP_S * 1000 if self._order else None

    def excess(self, now_ms: int, limit: int, steps: int) -> list[str]:
        """Return the runs to evict, oldest first, at most `limit`; `steps` is how many there are.

        While there are too many of those, one run at a time goes.
        """
        old = self._order.bisect_left((now_ms - limits.TERMINAL_KEEP_S * 1000 + 1,))
        count = max(old, len(self._order) - limits.TERMINAL_KEEP_RUNS)
        if steps > limits.TERMINAL_KEEP_STEPS:
            count = max(count, 1)
        return [run_id for _, run_id in self._order[: min(count, limit)]]
