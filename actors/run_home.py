"""The home of runs: it tells their entities what has changed, and when their time has come.

It follows the feed for runs, their steps and their jobs, keeps the due index of timeouts and gates,
passes places under concurrency limits on, and evicts runs that ended long ago and definitions that
nothing refers to. Every 30 s a reconcile pass has each open run looked at anew; what only that
finds is counted, and stays 0 while the feed is handled right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec
from sortedcontainers import SortedList

from actors import addresses
from actors.core import dag
from actors.core.due import DueIndex
from actors.core.eviction import EvictionTurns
from actors.core.homes import Homes
from actors.core.peers import Peers
from actors.core.view import Change, View
from actors.model import keys
from actors.model.job import TERMINAL
from actors.model.run import RUN_TERMINAL, Run
from actors.pipeline_run import AdvanceRun, Reconsider, Repaired
from actors.runtime import After, Context, Effect, Effects, Tell, handles
from actors.store_actor import StoreActor

__all__ = ["RunHome"]

_PER_TURN: Final = 256
_EVICT_PER_TXN: Final = 128
_RECONCILE_S: Final = 30.0
_RECONCILED_PER_TURN: Final = 128
_RECONCILE_PAUSE_S: Final = 0.01
_LONGEST_TIMER_S: Final = 60.0  # the wall clock may step: look again at least this often


class _Tick(msgspec.Struct, frozen=True):
    pass


class _Reconcile(msgspec.Struct, frozen=True):
    """Go on with the pass: the runs behind a key."""

    after: str = ""


class RunHome(StoreActor):
    """One per node; a node alone is the home of all runs."""

    def __init__(self, view: View, peers: Peers) -> None:
        super().__init__(view)
        self._peers = peers
        self._homes = Homes(view, peers)
        self._up = self._homes.up
        self._changed: dict[str, list[str]] = {}  # run → its steps that changed
        self._due = DueIndex()
        self._lines: dict[str, SortedList] = {}  # prefix of a limit's places → runs that wait
        self._line_of: dict[str, str] = {}
        self._retention = dag.RunRetention()
        self._turns = EvictionTurns()
        self._states: dict[str, str] = {}
        self.runs_by_state: Counter[str] = Counter()
        self.repairs = 0

    def on_start(self) -> Iterator[Effect]:
        """Derive the indexes, then follow the feed."""
        yield from super().on_start() or ()
        yield After(_RECONCILE_S, _Reconcile(), key="reconcile")

    # -- the feed

    def rescan(self) -> Effects:
        """Derive everything anew."""
        self._changed.clear()
        self._due = DueIndex()
        self._lines.clear()
        self._line_of.clear()
        self._retention = dag.RunRetention()
        self._states.clear()
        self.runs_by_state.clear()
        for kind in ("run/", "step/"):
            for key, _ in self.view.scan(kind):
                self._take(key)
        return None

    def changed(self, change: Change) -> Effects:
        """Take one change in."""
        if change.key.startswith(("run/", "step/")):
            self._take(change.key)
        elif change.key.startswith("job/"):
            self._take_job(change.key)
        elif change.deleted and change.key.startswith("runslot/"):
            line = self._lines.get(change.key[: change.key.rfind("/") + 1], ())
            first = next((run_id for run_id in line if run_id not in self._changed), None)
            if first is not None:
                self._changed[first] = []
        return None

    def _take(self, key: str) -> None:
        if key.startswith("step/"):
            run_id, _, _ = keys.step_parts(key)
            self._due.set(key, dag.step_due_at(self.view, key))
            if self.view.get(key) is not None:
                self._changed.setdefault(run_id, []).append(key)
            return
        run_id = keys.last(key)
        self._due.set(key, dag.run_due_at(self.view, run_id))
        entry = self.view.get(key)
        self._count(run_id, entry.noun.state if entry is not None else None)
        if entry is None:
            self._turns.progress(run_id)
            self._retention.discard(run_id)
            self._line_up(run_id, None)
            return
        run: Run = entry.noun
        self._line_up(run_id, run)
        if run.state not in RUN_TERMINAL:
            self._changed.setdefault(run_id, [])
            return
        is_part = bool(run.of_run) and self.view.get(keys.run(run.of_run)) is not None
        self._retention.add(run_id, run, is_part=is_part)
        if is_part:
            self._changed.setdefault(run.of_run, [])

    def _take_job(self, key: str) -> None:
        entry = self.view.get(key)
        if entry is not None and entry.noun.run and entry.noun.state in TERMINAL:
            self._changed.setdefault(entry.noun.run, [])

    def _line_up(self, run_id: str, run: Run | None) -> None:
        """Have a run in the line of its limit exactly while it waits for a place."""
        known = self._line_of.pop(run_id, "")
        if known:
            self._lines[known].discard(run_id)
            if not self._lines[known]:
                del self._lines[known]
        if run is None or run.state != "pending":
            return
        plan = dag.plan_of(self.view, run.definition)
        line = dag.line_of(plan.spec, run) if plan is not None else ""
        if line:
            self._line_of[run_id] = line
            self._lines.setdefault(line, SortedList()).add(run_id)

    def _count(self, run_id: str, state: str | None) -> None:
        before = self._states.pop(run_id, None)
        if before is not None:
            self.runs_by_state[before] -= 1
        if state is not None:
            self._states[run_id] = state
            self.runs_by_state[state] += 1

    # -- deciding

    def decide(self) -> Iterator[Effect]:
        """Pass on what changed and what is due, and set the timer for what is next."""
        now_ms = self.clock.now_ms()
        if self._homes.up != self._up:  # a node was lost or is back: look at every run
            self._up = self._homes.up
            self._turns.clear()
            yield After(0, _Reconcile(), key="reconcile")
        for key in self._due.pop(now_ms, _PER_TURN):
            self._changed.setdefault(key.split("/")[1], [])
        changed, self._changed = self._changed, {}
        for run_id, steps in changed.items():
            if self._is_open(run_id) and self._homes.rank(keys.run(run_id)) is not None:
                yield Tell(addresses.pipeline_run(run_id), AdvanceRun(tuple(steps)))
        yield from self._evict(now_ms)
        ahead = [t for t in (self._due.next_ms, self._retention.next_ms()) if t is not None]
        pause_s = max(1.0, (min(ahead) - now_ms) / 1000) if ahead else _LONGEST_TIMER_S
        if self._due.next_ms is not None:
            pause_s = min(pause_s, max(0.0, (self._due.next_ms - now_ms) / 1000))
        yield After(min(pause_s, _LONGEST_TIMER_S), _Tick(), key="due")

    def _is_open(self, run_id: str) -> bool:
        entry = self.view.get(keys.run(run_id))
        return entry is not None and entry.noun.state not in RUN_TERMINAL

    @handles(_Tick)
    def tick(self, message: _Tick, context: Context) -> Effects:
        """Some time has passed."""
        return self.decide()

    def _evict(self, now_ms: int) -> Iterator[Effect]:
        if self.undecided("evict") or not self._peers.keeps_time:
            return
        excess = self._retention.excess(now_ms, _EVICT_PER_TXN, self.view.count("step"))
        going = self._turns.mine(excess, now_ms, self._homes.wait_ms) if excess else []
        if going:
            yield from self.submit("evict", dag.evict_runs(self.view, going, now_ms=now_ms)) or ()

    # -- reconcile

    @handles(_Reconcile)
    def reconcile(self, message: _Reconcile, context: Context) -> Iterator[Effect]:
        """Have open runs looked at anew, some of them a turn; then collect definitions."""
        chunk = list(islice(self.view.scan("run/", message.after), _RECONCILED_PER_TURN))
        for key, entry in chunk:
            if entry.noun.state not in RUN_TERMINAL and self._homes.rank(key) is not None:
                revision = self._cursor if not self._changed else -1
                yield Tell(addresses.pipeline_run(keys.last(key)), Reconsider(revision))
        if len(chunk) == _RECONCILED_PER_TURN:
            yield After(_RECONCILE_PAUSE_S, _Reconcile(chunk[-1][0]), key="reconcile")
            return
        yield After(_RECONCILE_S, _Reconcile(), key="reconcile")
        yield from self._collect()

    def _collect(self) -> Iterator[Effect]:
        """Delete one definition that nothing refers to; the others go with the next passes."""
        for digest in dag.unreferred(self.view):
            if self._homes.wait_ms(keys.definition(digest)) == 0:
                txn = dag.collect(self.view, digest, self.clock.now_ms())
                yield from self.submit("collect", txn) or ()
                return

    @handles(Repaired)
    def repaired(self, message: Repaired, context: Context) -> Effects:
        """Count what no change has told of."""
        self.repairs += 1
        return None
