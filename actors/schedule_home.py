"""The home of schedules: it fires those that have their home at this node, the moment they are due.

Like `Home` it is level-triggered: each node derives the same due index, the home acts at once, the
node of rank k when the feed has not shown the decision k x 500 ms later. What waits behind a job
that still runs is looked at when the feed shows that job's end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

import msgspec

from actors.core import schedule
from actors.core.due import DueIndex
from actors.core.homes import Homes
from actors.core.peers import Peers
from actors.core.schedule.fire import waits_for
from actors.core.store.txn import Committed, Result, Txn
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
_BYSTANDER_MS: Final = 30_000  # a node that does not vote looks again whether it does


class _Tick(msgspec.Struct, frozen=True):
    pass


class _Reconcile(msgspec.Struct, frozen=True):
    """Go on with the pass, behind a key."""

    after: str = ""


class ScheduleHome(StoreActor):
    """One per node; a node alone is the home of every schedule."""

    grows = True

    def __init__(self, view: View, peers: Peers, observe_lateness: Callable[[float], None]) -> None:
        """`observe_lateness` is told how late (in seconds) a fire of this node was durable."""
        super().__init__(view)
        self._observe_lateness = observe_lateness
        self._peers = peers
        self._homes = Homes(view, peers)
        self._reckoned = (self._homes.up, peers.keeps_time)  # by what others' turns were reckoned
        self._due = DueIndex()
        self._left_to_others = DueIndex()  # due: when it is this node's turn, should nobody act
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
        self._due, self._left_to_others = DueIndex(), DueIndex()
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
        self._left_to_others.set(key, None)
        self._due.set(key, schedule.due_at(self.view, key))
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
        if (self._homes.up, self._peers.keeps_time) != self._reckoned:
            self._homes_moved(now_ms)
            yield After(0, _Reconcile(), key="reconcile")
        due = self._due.pop(now_ms, _PER_TURN)
        for key in due:
            yield from self._decide_or_leave(key, now_ms)
        for key in self._left_to_others.pop(now_ms, _PER_TURN):
            yield from self._take_over(key, now_ms)
        yield from self._sleep(now_ms, busy=len(due) == _PER_TURN)

    def _decide_or_leave(self, key: str, now_ms: int) -> Iterator[Effect]:
        wait_ms = self._wait_ms(key)
        if not wait_ms:
            yield from self._decide(key, now_ms)
        elif self._left_to_others.get(key) is None:
            self._left_to_others.set(key, now_ms + wait_ms)

    def _take_over(self, key: str, now_ms: int) -> Iterator[Effect]:
        """The nodes before this one had their time, and the feed has not shown the decision."""
        if self._homes.rank(key) is None or not self._peers.keeps_time:
            self._left_to_others.set(key, now_ms + _BYSTANDER_MS)
        else:
            yield from self._decide(key, now_ms)

    def _wait_ms(self, key: str) -> int:
        wait_ms = self._homes.wait_ms(key)
        return wait_ms if wait_ms is not None and self._peers.keeps_time else _BYSTANDER_MS

    def _homes_moved(self, now_ms: int) -> None:
        """A node was lost or is back: reckon anew whose turn it is."""
        self._reckoned = (self._homes.up, self._peers.keeps_time)
        for key in list(self._left_to_others):
            self._left_to_others.set(key, now_ms + self._wait_ms(key))

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
        self._due.set(key, next_ms if next_ms is None else max(next_ms, now_ms + 1000))

    def _sleep(self, now_ms: int, *, busy: bool) -> Iterator[Effect]:
        times = [t for t in (self._due.next_ms, self._left_to_others.next_ms) if t is not None]
        ahead_s = (min(times) - now_ms) / 1000 if times else _LONGEST_TIMER_S
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
        self._due.set(entity, schedule.due_at(self.view, entity))
        return None

    def refused(self, entity: str) -> None:
        """Not ordered (the disk is full): it stays due."""
        self._submitted.pop(entity, None)
        self._due.set(entity, self.clock.now_ms())

    def _observe(self, txn: Txn) -> None:
        for event in txn.events:
            if event.type == "jobd:schedule:fired" and not event.data["reason"]:
                took_ms = self.clock.now_ms() - txn.now_ms
                self._observe_lateness((event.data["late_ms"] + took_ms) / 1000)

    # -- reconcile

    def _is_known(self, key: str) -> bool:
        times = (self._due.get(key), self._left_to_others.get(key))
        return self.undecided(key) or any(t is not None for t in times)

    @handles(_Reconcile)
    def reconcile(self, message: _Reconcile, context: Context) -> Iterator[Effect]:
        """Walk the schedules, some a turn: what is due and not in the index was missed."""
        records = [key for key, _ in islice(self._behind(message.after), _RECONCILED_PER_TURN)]
        for key in records:
            due_ms = None if self._is_known(key) else schedule.due_at(self.view, key)
            if due_ms is not None:
                self.repairs += 1
                self._due.set(key, due_ms)
        if len(records) == _RECONCILED_PER_TURN:
            yield After(_RECONCILE_PAUSE_S, _Reconcile(records[-1]), key="reconcile")
        else:
            yield After(_RECONCILE_S, _Reconcile(), key="reconcile")
            yield from self.decide()

    def _behind(self, after: str) -> Iterator[tuple[str, object]]:
        return self.view.scan(_PREFIX, after)
