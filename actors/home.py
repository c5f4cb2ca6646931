"""The home of jobs: it does what is due for the entities that have their home at this node.

Due are: retries, delays and `at`, expiry and timeouts, losses, fan-outs to advance, permits to pass
on, terminal records to evict. From the state every node derives the same due index; the home acts
at once, the others when it did not (`actors/core/homes.py`). At the start, when homes move and
every 30 s a reconcile pass walks the state and counts what only it found: that counter stays 0
while the feed is handled right.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec

from actors import addresses, limits
from actors.core import job
from actors.core.eviction import EvictionTurns
from actors.core.history import watermark
from actors.core.homes import Homes, home_key
from actors.core.peers import Peers
from actors.core.permits import Waiters, key_hash
from actors.core.store.txn import Result
from actors.core.turns import Turns
from actors.core.view import Change, View
from actors.history import Recorded, SayRecorded
from actors.model import keys
from actors.model.job import TERMINAL, Job
from actors.model.spec import JobSpec
from actors.runtime import (
    After,
    Context,
    Effect,
    Effects,
    Tell,
    handles,
)
from actors.store_actor import StoreActor
from actors.task_set import Advance

__all__ = ["Home"]

_log: Final = logging.getLogger(__name__)
_KINDS: Final = ("job/", "task/", "attempt/", "idempotency/", "closed/")
_PER_TURN: Final = 256
_LINE: Final = 16  # how far a turn looks past jobs that wait for another key too
_EVICT_PER_TXN: Final = 128
_RECONCILE_S: Final = 30.0
_RECONCILED_PER_TURN: Final = 128  # 3 ms
_RECONCILE_PAUSE_S: Final = 0.01  # between two turns of a pass: others have work to do
_LEAP_MS: Final = 1_000  # NTP slews; more at once is a step of the clock or a sleep
_LONGEST_TIMER_S: Final = 60.0  # the wall clock may step: look again at least this often


class _Tick(msgspec.Struct, frozen=True):
    pass


class _Reconcile(msgspec.Struct, frozen=True):
    """Go on with the pass: the records of _KINDS[kind] behind a key."""

    kind: int = 0
    after: str = ""


class Home(StoreActor):
    """One per node; a node alone is the home of everything."""

    def __init__(self, view: View, peers: Peers) -> None:
        super().__init__(view)
        self._peers = peers
        self._homes = Homes(view, peers)
        self._turns = Turns(self._homes, peers, lambda key: home_key(view, key))
        self._eviction = EvictionTurns()
        self._waiters = Waiters()
        # wait, or are about to start, with another `on_limit` than queue
        self._insistent = Waiters()
        self._retention = job.Retention()
        self._sets: dict[str, list[str]] = {}  # fan-outs that changed → their changed members
        self._states: dict[str, str] = {}
        self.jobs_by_state: Counter[str] = Counter()
        self.repairs = 0
        self._recorded = 0  # what ended below this revision is in history
        self._given_up: set[str] = set()  # ended jobs that go without it
        self._has_given_up = False
        self.unrecorded = 0  # those that have gone
        self._ahead_ms: int | None = None  # of the wall clock before the monotonic one
        self._leapt_ms = 0

    def on_start(self) -> Iterator[Effect]:
        """Derive the due index, then follow the feed."""
        yield from super().on_start() or ()
        yield After(_RECONCILE_S, _Reconcile(), key="reconcile")
        yield Tell(addresses.HISTORY, SayRecorded())

    # -- the feed

    def rescan(self) -> Effects:
        """Derive everything anew."""
        self._turns.clear()
        self._waiters = Waiters()
        self._insistent = Waiters()
        self._retention = job.Retention()
        self._states.clear()
        self.jobs_by_state.clear()
        for kind in _KINDS:
            for key, _ in self.view.scan(kind):
                self._take(key)
        return None

    def changed(self, change: Change) -> Effects:
        """Take one change in."""
        if change.key.startswith(_KINDS):
            self._take(change.key)
        elif change.key.startswith("permit/"):
            self._permit_changed(change.key.split("/")[1])
        elif change.key.startswith("session/"):
            self._session_changed(keys.last(change.key))
        elif change.deleted and change.key.startswith("run/"):
            self._retention.release(keys.last(change.key))
        return None

    def _take(self, key: str) -> None:
        self._turns.changed(key, job.due_at(self.view, key))
        match keys.kind(key):
            case "job":
                self._take_job(key)
            case "task":
                self._sets.setdefault(key.split("/")[1], []).append(key)

    def _take_job(self, key: str) -> None:
        job_id, entry = keys.last(key), self.view.get(key)
        self._count(job_id, entry.noun.state if entry is not None else None)
        if entry is None:
            self.unrecorded += job_id in self._given_up
            self._given_up.discard(job_id)
            self._eviction.progress(job_id)
            self._retention.discard(job_id)
            self._waiters.discard(job_id)
            self._insistent.discard(job_id)
            return
        record, spec = entry.noun, self.view.get(keys.spec(job_id))
        assert spec is not None, "a job has its spec"
        if spec.noun.concurrency:
            self._line_up(job_id, record, spec.noun)
        if record.state in TERMINAL:
            self._retention.add(job_id, record.since_ms, job.held_by(self.view, record))
            return
        if record.tasks > 1:
            self._sets.setdefault(job_id, [])
        if record.cancel_ms or record.stop:  # then nothing waits for a lost node to return
            for attempt, _ in self.view.scan(keys.attempts_of(job_id)):
                self._take(attempt)

    def _session_changed(self, node: str) -> None:
        """A node is lost, or back: its attempts are due, or not any more."""
        for attempt, entry in self.view.scan("attempt/"):
            if entry.noun.node == node:
                self._take(attempt)

    def _count(self, job_id: str, state: str | None) -> None:
        before = self._states.pop(job_id, None)
        if before is not None:
            self.jobs_by_state[before] -= 1
        if state is not None:
            self._states[job_id] = state
            self.jobs_by_state[state] += 1

    # -- lines behind concurrency keys

    def _line_up(self, job_id: str, record: Job, spec: JobSpec) -> None:
        """Have a job in its lines exactly while it waits; who leaves makes room for the next."""
        self._waiters.discard(job_id)
        self._insistent.discard(job_id)
        if record.state == "waiting":
            self._waiters.add(job_id, record, spec)
        insists = any(concurrency.on_limit != "queue" for concurrency in spec.concurrency)
        if insists and record.state in ("waiting", "pending"):
            self._insistent.add(job_id, record, spec)
        for concurrency in spec.concurrency:
            self._look_at_line(key_hash(concurrency.key))

    def _permit_changed(self, hashed: str) -> None:
        """A permit is free: the next in line may go on. It is taken: who does not queue acts."""
        self._look_at_line(hashed)
        for job_id in self._insistent.first(hashed, _PER_TURN):
            self._turns.look(keys.job(job_id), job.due_at(self.view, keys.job(job_id)))

    def _look_at_line(self, hashed: str) -> None:
        """Let the first go on that can; one that waits for another key too is passed by."""
        now_ms = self.clock.now_ms()
        for job_id in self._waiters.first(hashed, _LINE):
            due_ms = job.due_at(self.view, keys.job(job_id))
            self._turns.look(keys.job(job_id), due_ms)
            if due_ms is not None and due_ms <= now_ms:
                return

    def _line_moves(self, key: str) -> bool:
        """Say whether one in line with this job is about to go on; others have their turn then."""
        spec, now_ms = self.view.get(keys.spec(keys.last(key))), self.clock.now_ms()
        in_line = {
            keys.job(job_id)
            for concurrency in (spec.noun.concurrency if spec is not None else ())
            for job_id in self._waiters.first(key_hash(concurrency.key), _LINE)
        }
        return any(
            self.undecided(other) or self._turns.is_due(other, now_ms) for other in in_line - {key}
        )

    # -- deciding

    def decide(self) -> Iterator[Effect]:
        """Do what is due, and set the timer for what is next."""
        sets, self._sets = self._sets, {}
        for job_id, members in sets.items():
            if self._open(job_id) and self._homes.rank(keys.job(job_id)) is not None:
                yield Tell(addresses.task_set(job_id), Advance(tuple(members)))
        now_ms = self.clock.now_ms()
        if self._turns.have_moved(now_ms):  # a node was lost or is back: look at everything
            self._eviction.clear()
            yield After(0, _Reconcile(), key="reconcile")
        mine, busy = self._turns.take(now_ms, _PER_TURN)
        for key in mine:
            yield from self._decide(key, now_ms)
        self._note_leap(now_ms)
        yield from self._evict(now_ms)
        yield from self._sleep(now_ms, busy=busy)

    def _decide(self, key: str, now_ms: int) -> Iterator[Effect]:
        """Submit what is due for one entity; its next due time comes with the feed."""
        if self.undecided(key):
            return
        txn = job.due(self.view, key, now_ms=now_ms, rand=self.rng.random())
        if txn is not None:
            yield from self.submit(key, txn) or ()
            return
        next_ms = job.due_at(self.view, key)
        self._turns.look(key, next_ms if next_ms is None else max(next_ms, now_ms + 1000))

    def _open(self, job_id: str) -> bool:
        entry = self.view.get(keys.job(job_id))
        return entry is not None and entry.noun.state not in TERMINAL

    def _note_leap(self, now_ms: int) -> None:
        """Records do not age by a leap of the wall clock: nobody could have looked at them."""
        ahead_ms = now_ms - int(self.clock.monotonic_s() * 1000)
        leap_ms = ahead_ms - self._ahead_ms if self._ahead_ms is not None else 0
        if abs(leap_ms) >= _LEAP_MS:
            self._leapt_ms = max(0, self._leapt_ms + leap_ms)
        self._ahead_ms = ahead_ms

    def _evict(self, now_ms: int) -> Iterator[Effect]:
        if self.undecided("evict") or not self._peers.keeps_time:
            return
        excess = self._retention.excess(now_ms - self._leapt_ms, _EVICT_PER_TXN)
        if not excess:
            return
        recorded = self._watermark()
        going = [job_id for job_id in excess if self._ended_below(job_id, recorded)]
        if not going:
            going = self._give_up(excess)
        going = self._eviction.mine(going, now_ms, self._homes.wait_ms)
        if going:
            yield from self.submit("evict", job.evict(self.view, going, now_ms=now_ms)) or ()

    def _give_up(self, excess: list[str]) -> list[str]:
        """Return which go unrecorded: the history is down for long, and the store must not grow."""
        too_many = max(0, len(self._retention) - limits.HISTORY_WAIT_JOBS)
        going = excess[:too_many]
        if going and not self._has_given_up:
            _log.error("history is down: the oldest ended jobs go without a record in it")
            self._has_given_up = True  # said once; `unrecorded` counts
        self._given_up.update(going)
        return going

    def _ended_below(self, job_id: str, revision: int) -> bool:
        entry = self.view.get(keys.job(job_id))
        return entry is not None and entry.revision < revision

    def _watermark(self) -> int:
        """Return the revision below which a majority of voters has all that ended in history."""
        voters, node = self._peers.voters(), self._peers.node
        if voters == (node,):
            return self._recorded
        heard = {voter: self._peers.heartbeat(voter) for voter in voters}
        of_others = {v: beat.recorded for v, beat in heard.items() if beat is not None}
        return watermark({**of_others, node: self._recorded}, voters)

    @handles(Recorded)
    def recorded(self, message: Recorded, context: Context) -> Effects:
        """History has come further: what it has may go."""
        self._recorded = message.revision
        self._given_up.clear()
        self._has_given_up = False
        return self.decide()

    def _sleep(self, now_ms: int, *, busy: bool) -> Iterator[Effect]:
        old_ms = self._retention.next_ms()
        evict_ms = old_ms + self._leapt_ms if old_ms is not None else None
        times = [t for t in (self._turns.next_ms, evict_ms) if t is not None]
        ahead_s = (min(times) - now_ms) / 1000 if times else _LONGEST_TIMER_S
        # What is due already waits for an answer or for a bucket to pass: look again in a second.
        pause_s = 0.0 if busy else ahead_s if ahead_s > 0 else 1.0
        yield After(min(pause_s, _LONGEST_TIMER_S), _Tick(), key="due")

    @handles(_Tick)
    def tick(self, message: _Tick, context: Context) -> Effects:
        """Some time has passed."""
        return self.decide()

    def decided(self, entity: str, result: Result) -> Effects:
        """Take the entity's time anew: what came due under way was passed over, whatever the end.

        The feed may show a commit before its answer comes, and a conflict may be another entity's.
        """
        self._turns.look(entity, job.due_at(self.view, entity))
        return None

    def refused(self, entity: str) -> None:
        """Not ordered (the disk is full): it stays due."""
        if entity != "evict":
            self._turns.look(entity, self.clock.now_ms())

    # -- reconcile

    @handles(_Reconcile)
    def reconcile(self, message: _Reconcile, context: Context) -> Iterator[Effect]:
        """Walk the state, some of it a turn: what is due and not in the index was missed."""
        records = islice(self.view.scan(_KINDS[message.kind], message.after), _RECONCILED_PER_TURN)
        seen = []
        for key, entry in records:
            seen.append(key)
            if message.kind == 0 and entry.noun.tasks > 1:
                self._sets.setdefault(keys.last(key), [])  # its entity may have been given up
            if not self.undecided(key) and key not in self._turns:
                due_ms = job.due_at(self.view, key)
                if due_ms is not None and not self._line_moves(key):
                    self.repairs += 1
                    self._turns.look(key, due_ms)
        if len(seen) == _RECONCILED_PER_TURN:
            yield After(_RECONCILE_PAUSE_S, _Reconcile(message.kind, seen[-1]), key="reconcile")
        elif message.kind + 1 < len(_KINDS):
            yield After(_RECONCILE_PAUSE_S, _Reconcile(message.kind + 1), key="reconcile")
        else:
            yield After(_RECONCILE_S, _Reconcile(), key="reconcile")
            yield from self.decide() or ()
