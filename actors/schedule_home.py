"""The home of schedules: it fires those that have their home at this node, the moment they are due.

Like `Home` it is level-triggered: each node derives the same due index, the home acts at once, the
node of rank k when the feed has not shown the decision k x 500 ms later. What waits behind a job
that still runs is looked at when the feed shows that job's end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import ClassVar, Final

import msgspec

from actors.core import schedule
from actors.core.homes import Homes
from actors.core.peers import Peers
from actors.core.schedule.fire import waits_for
from actors.core.store.txn import Committed, Result, Txn
from actors.core.turns import Turns
from actors.core.view import Change, View
from actors.model import keys
from actors.runtime import After, Context, Effect, Effects, handles
from actors.store_actor import StoreActor

__all__ = ["ScheduleHome"]

_PREFIX: Final = "schedule/"
_STARTED: Final = ("job/", "run/")
_PER_TURN: Final = 8  # a decision takes about 0.3 ms
_RECONCILE_S: Final = 30.0
_RECONCILED_PER_TURN: Final = 128
_RECONCILE_PAUSE_S: Final = 0.01
_LONGEST_TIMER_S: Final = 5.0  # the wall clock may step, by a sleep too: look again so often


class _Tick(msgspec.Struct, frozen=True):
    pass


class _Reconcile(msgspec.Struct, frozen=True):
    """Go on with the pass, behind a key."""

    after: str = ""


class ScheduleHome(StoreActor):
    """One per node; a node alone is the home of every schedule."""

    grows = True
    follows: ClassVar = ("schedule", "job", "run", "session")

    def __init__(self, view: View, peers: Peers, observe_lateness: Callable[[float], None]) -> None:
        """`observe_lateness` is told how late (in seconds) a fire of this node was durable."""
        super().__init__(view)
        self._observe_lateness = observe_lateness
        self._turns = Turns(Homes(view, peers), peers)
        self._waiting: dict[str, set[str]] = {}  # job or run → schedules that wait for its end
        self._waits: dict[str, tuple[str, ...]] = {}
        self._submitted: dict[str, Txn] = {}
        self.repairs = 0

    def on_start(self) -> Iterator[Effect]:
        """Derive the due index, then follow the feed."""
        yield from super().on_start() or ()
        yield After(_RECONCILE_S, _Reconcile(), key="reconcile")

    # -- the feed

    def rescan(self) -> Effects:
        """Derive everything anew."""
        self._turns.clear()
        self._waiting.clear()
        self._waits.clear()
        for key, _ in self.view.scan(_PREFIX):
            self._take(key)
        return None

    def changed(self, change: Change) -> Effects:
        """Take one change in."""
        if change.key.startswith(_PREFIX):
            self._take(change.key)
        elif change.key.startswith(_STARTED):
            for key in list(self._waiting.get(keys.last(change.key), ())):
                self._take(key)
        return None

    def _take(self, key: str) -> None:
        self._turns.changed(key, schedule.due_at(self.view, key))
        entry = self.view.get(key)
        waits = waits_for(entry.noun) if entry is not None else ()
        for started in self._waits.pop(key, ()):
            behind = self._waiting.get(started, set())
            behind.discard(key)
            if not behind:
                self._waiting.pop(started, None)
        if waits:
            self._waits[key] = waits
        for started in waits:
            self._waiting.setdefault(started, set()).add(key)

    # -- deciding

    def decide(self) -> Iterator[Effect]:
        """Do what is due, and set the timer for what is next."""
        now_ms = self.clock.now_ms()
        if self._turns.have_moved(now_ms):
            yield After(0, _Reconcile(), key="reconcile")
        mine, busy = self._turns.take(now_ms, _PER_TURN)
        for key in mine:
            yield from self._decide(key, now_ms)
        yield from self._sleep(now_ms, busy=busy)

    def _decide(self, key: str, now_ms: int) -> Iterator[Effect]:
        """Submit what is due for one schedule; its next due time comes with the feed."""
        if self.undecided(key):
            return
        txn = schedule.due(self.view, key, now_ms=now_ms)
        if txn is not None:
            self._submitted[key] = txn
            yield from self.submit(key, txn)
            return
        next_ms = schedule.due_at(self.view, key)
        self._turns.look(key, next_ms if next_ms is None else max(next_ms, now_ms + 1000))

    def _sleep(self, now_ms: int, *, busy: bool) -> Iterator[Effect]:
        next_ms = self._turns.next_ms
        ahead_s = (next_ms - now_ms) / 1000 if next_ms is not None else _LONGEST_TIMER_S
        pause_s = 0.0 if busy else ahead_s if ahead_s > 0 else 1.0
        yield After(min(pause_s, _LONGEST_TIMER_S), _Tick(), key="due")

    @handles(_Tick)
    def tick(self, message: _Tick, context: Context) -> Effects:
        """Some time has passed."""
        return self.decide()

    def decided(self, entity: str, result: Result) -> Effects:
        """Take the schedule's time anew; say how late a fire was that was decided here."""
        txn = self._submitted.pop(entity, None)
        if txn is not None and isinstance(result, Committed):
            self._observe(txn)
        self._turns.look(entity, schedule.due_at(self.view, entity))
        return None

    def refused(self, entity: str) -> None:
        """Not ordered (the disk is full): it stays due."""
        self._submitted.pop(entity, None)
        self._turns.look(entity, self.clock.now_ms())

    def _observe(self, txn: Txn) -> None:
        for event in txn.events:
            if event.type == "jobd:schedule:fired" and not event.data["reason"]:
                took_ms = self.clock.now_ms() - txn.now_ms
                self._observe_lateness((event.data["late_ms"] + took_ms) / 1000)

    # -- reconcile

    @handles(_Reconcile)
    def reconcile(self, message: _Reconcile, context: Context) -> Iterator[Effect]:
        """Walk the schedules, some a turn: what is due and not in the index was missed."""
        records = [key for key, _ in islice(self._behind(message.after), _RECONCILED_PER_TURN)]
        for key in records:
            is_known = self.undecided(key) or key in self._turns
            due_ms = None if is_known else schedule.due_at(self.view, key)
            if due_ms is not None:
                self.repairs += 1
                self._turns.look(key, due_ms)
        if len(records) == _RECONCILED_PER_TURN:
            yield After(_RECONCILE_PAUSE_S, _Reconcile(records[-1]), key="reconcile")
        else:
            yield After(_RECONCILE_S, _Reconcile(), key="reconcile")
            yield from self.decide()

    def _behind(self, after: str) -> Iterator[tuple[str, object]]:
        return self.view.scan(_PREFIX, after)
