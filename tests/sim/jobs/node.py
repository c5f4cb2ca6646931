"""A node process: an applied prefix of the log, its transactions, and the product's decisions.

Every step is level-triggered and decides from the view. The planted faults of a node's behaviour
(not of a decision or transaction) are the `flags` of the world.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from actors.core import job as jobs
from actors.core import node_state, session, task_set
from actors.core.job.slot import DRAINED
from actors.core.job.work import load, load_job
from actors.core.room import cordoned
from actors.core.store.txn import Committed, Result, SessionRef, Txn, at
from actors.model import keys
from actors.model.codec import encode
from actors.model.job import TERMINAL
from tests.sim.jobs.host import ENDINGS, EXITED
from tests.sim.jobs.store import AppliedView, Msg
from tests.sim.violation import ViolationError

if TYPE_CHECKING:
    from tests.sim.jobs.world import World

__all__ = ["KEEP_MS", "SLOTS", "TICK_MS", "Node"]

TICK_MS, SLOTS = 1_250, 2
KEEP_MS = 12 * TICK_MS


class Flight:
    """An undecided transaction, or one whose commit the feed has not shown yet."""

    __slots__ = ("busy", "committed", "msg")

    def __init__(self, msg: Msg, busy: str) -> None:
        self.msg, self.busy, self.committed = msg, busy, 0


class Node:
    """One of the three; `proc` numbers its processes, `kept` is its checkpoint's revision."""

    def __init__(self, world: World, me: int) -> None:
        self.world, self.me, self.name = world, me, f"n{me}"
        self.up, self.cut, self.kept, self.proc = False, False, 0, 0
        self.host = world.hosts[me]

    def boot(self) -> None:
        """Incarnation durable, then the checkpoint: older, perhaps, than what its last one saw."""
        self.up, self.proc, self.view = True, self.proc + 1, AppliedView()
        self.incarnation = self.host.incarnation = self.host.incarnation + 1
        self.number, self.seq, self.hello = 0, 0, (0, 0)
        self.flight: dict[int, Flight] = {}
        self.cancels: set[str] = set()
        self.feed(self.kept)
        self.world.say(f"{self.name} boots, incarnation {self.incarnation}, r{self.view.revision}")

    def feed(self, to: int) -> None:
        log, view = self.world.store.log, self.view
        for revision in range(view.revision, min(to, len(log))):
            view.apply(log[revision])
        if self.flight:
            seen = view.revision
            for seq in [s for s, f in self.flight.items() if 0 < f.committed <= seen]:
                del self.flight[seq]

    # -- transactions

    def submit(self, kind: str, about: Any, txn: Txn | None, busy: str) -> None:
        """At most one undecided transaction per entity; busy until the feed shows its commit."""
        if txn is None or any(flight.busy == busy for flight in self.flight.values()):
            return
        self.seq += 1
        undecided = (seq for seq, flight in self.flight.items() if not flight.committed)
        ref = SessionRef(self.name, self.number, self.seq, min(undecided, default=self.seq))
        txn = self.world.bugs.cut(kind, msgspec.structs.replace(txn, session=ref))
        msg = Msg(self.me, self.proc, kind, about, txn)
        self.flight[self.seq] = Flight(msg, busy)
        self.world.send(msg)
        self.world.say(f"{self.name} submits {kind} {about} (view r{self.view.revision})")

    def resubmit(self, y: int) -> None:
        flight = self.flight[sorted(self.flight)[y % len(self.flight)]]
        ref = flight.msg.txn.session
        if flight.committed or ref is None:
            return
        below = min(seq for seq, other in self.flight.items() if not other.committed)
        ref = msgspec.structs.replace(ref, done_below=below)
        again = msgspec.structs.replace(flight.msg.txn, session=ref)
        self.world.send(flight.msg._replace(txn=again))

    def reply(self, msg: Msg, result: Result) -> None:
        ref = msg.txn.session
        flight = self.flight.get(ref.seq) if ref is not None else None
        if flight is None or msg.proc != self.proc or msg.session != self.number:
            return
        if flight.committed:
            return
        if isinstance(result, Committed) and result.revision > self.view.revision:
            flight.committed = result.revision
        elif ref is not None:
            del self.flight[ref.seq]
        if not isinstance(result, Committed):
            return
        if msg.kind == "finish" and "ack_on_reply" in self.world.flags:
            self.tell("ack", msg.about[0])
        if msg.kind == "session-lost" and "loss_one_shot" in self.world.flags:
            for key, entry in list(self.view.scan("attempt/")):
                if entry.noun.node == msg.about:
                    self._end_unasked(key)

    # -- session (R1, R2)

    def agent(self, z: int) -> None:
        host, flags = self.host, self.world.flags
        entry = self.view.get(keys.session(self.name))
        if self.number and (entry is None or entry.revision != self.number):
            self.world.say(f"{self.name} sees that its session ended")
            self.number = -1 if "no_resession" in flags else 0
            self.incarnation += 1
            if "inc_not_durable" not in flags:
                host.incarnation = self.incarnation
        if not self.number:
            self._open_session(z)
        if not host.alive:
            host.restart()
        if self.hello != (host.number, self.incarnation):
            self.hello = (host.number, self.incarnation)
            host.hello = max(host.hello, self.proc)

    def _open_session(self, z: int) -> None:
        number = session.session_revision(self.view, self.name, self.incarnation)
        if number is not None:
            self.number, self.seq, self.flight = number, 0, {}
            self.world.say(f"{self.name} has session r{number}")
        elif session.is_superseded(self.view, self.name, self.incarnation):
            if "inc_not_durable" not in self.world.flags:
                raise ViolationError("I-s", f"a later incarnation of {self.name} exists")
        elif z % 3 == 0 or not any(
            m.node == self.me and m.kind == "session-up" and m.proc == self.proc
            for m in self.world.net
        ):
            now = self.world.now
            txn = session.open_session(self.view, self.name, self.incarnation, "", now)
            txn = msgspec.structs.replace(txn, session=SessionRef(self.name, 0, 0, 0))
            self.world.send(Msg(self.me, self.proc, "session-up", self.name, txn))

    def declare_lost(self, other: int) -> None:
        if self.number > 0:
            txn = session.end_session(self.view, f"n{other}", "lost", self.world.now)
            self.submit("session-lost", f"n{other}", txn, f"session/n{other}")

    # -- slots (R4)

    def tell(self, op: str, key: str, again: bool = False) -> None:
        frame = (self.proc, op, key, self.host.number)
        if again or frame not in self.host.chan:
            self.host.chan.append(frame)

    def slot(self, z: int) -> None:
        host, view, booting = self.host, self.view, False
        if self.number <= 0:
            booting = "list_before_session" in self.world.flags and self.number == 0
            if not booting:
                return
        if not host.alive or self.hello != (host.number, self.incarnation):
            return
        mine = [k for k, e in sorted(view.of["attempt"].items()) if e.noun.node == self.name]
        for key in [*mine, *(k for k in list(host.regs) if view.get(k) is None)]:
            held = host.held(key)
            action = self.world.bugs.action(
                view,
                key,
                held,
                jobs.slot_action(view, key, held, host.instance, now_ms=self.world.now),
            )
            self._act(key, action, z, booting)

    def _act(self, key: str, action: jobs.SlotAction, z: int, booting: bool) -> None:
        world, now = self.world, self.world.now
        match action:
            case jobs.Start():
                self.tell("start", key, z % 2 == 1)
            case jobs.Kill(reason):
                self.tell("drain" if reason == DRAINED else "kill", key)
            case jobs.Ack():
                if "finish_no_fence" in world.flags:
                    self._steal(key)
                if not self._tell_late(key):
                    self.tell("ack", key)
            case jobs.Finish(ending) if not booting:
                txn = jobs.finish(self.view, key, ending, now_ms=now, rand=0.0)
                self._submit_end("finish", key, ending.outcome, txn)
            case jobs.ReportLost() if not booting:
                if "orphans_left" not in world.flags:
                    self.host.orphans.discard(key)
                txn = jobs.lost_by_own_node(self.view, key, now_ms=now, rand=0.0)
                self._submit_end("finish", key, "lost", txn)

    def _tell_late(self, key: str) -> bool:
        """Submit a late result; say whether the record is to have it before the ack."""
        held = self.host.held(key)
        if held is None or held.ending is None or held.ending.outcome == "cancelled":
            return False
        late = held.ending._replace(outcome="superseded")
        txn = jobs.superseded(self.view, key, late, node=self.name, now_ms=self.world.now)
        self.submit("late", key, txn, _busy(key))
        return txn is not None and bool(txn.ops)

    def drain(self, z: int) -> None:
        """An operator has this node drain, or take work again."""
        if self.number <= 0:
            return
        view, now = self.view, self.world.now
        mode: node_state.DrainMode = "requeue" if z % 2 else "finish"
        if cordoned(view, self.name):
            txn = node_state.uncordon(view, self.name, now_ms=now)
        else:
            by_ms = now + 2 * TICK_MS if z % 4 < 2 else 0
            txn = node_state.drain(view, self.name, mode, by_ms=by_ms, now_ms=now)
        self.submit("drain", self.name, txn, keys.node(self.name))

    def _submit_end(self, kind: str, key: str, outcome: str, txn: Txn | None) -> None:
        entry = self.view.get(key)
        if entry is not None:
            self.submit(kind, (key, entry.revision, outcome), txn, _busy(key))

    def _steal(self, key: str) -> None:
        """Planted: an ended attempt that is gone ends its record, whichever attempt runs now."""
        phase = self.host.regs.get(key)
        work = load(self.view, *keys.attempt_parts(key)[:2])
        if phase not in EXITED or phase == "killed" or work is None:
            return
        if work.record.state == "running":
            done = msgspec.structs.replace(
                work.record, state="succeeded" if phase == "ok" else "failed"
            )
            txn = Txn((at(work.key, work.revision),), ((work.key, encode(done)),))
            self.submit("finish", (key, -1, ENDINGS[phase].outcome), txn, _busy(key))

    def _end_unasked(self, key: str) -> None:
        """Planted: end another node's attempt as lost without the lost session in the checks."""
        txn = jobs.lost_by_own_node(self.view, key, now_ms=self.world.now, rand=0.0)
        self._submit_end("lost", key, "lost", txn)

    # -- scheduler (R3)

    def schedule(self, y: int) -> None:
        view, host = self.view, self.host
        if self.number <= 0 or not host.alive or self._used() >= SLOTS:
            return
        if cordoned(view, self.name):
            return
        of = view.of
        ready = [k for k, e in of["task"].items() if e.noun.state == "pending"]
        ready += [
            k for k, e in of["job"].items() if e.noun.state == "pending" and e.noun.tasks == 1
        ]
        if ready:
            key = sorted(ready)[y % len(ready)]
            parts = key.split("/")
            job_id, index = parts[1], int(parts[2]) if len(parts) > 2 else 0
            txn = jobs.claim(
                view,
                job_id,
                index,
                node=self.name,
                session_revision=self.number,
                slot=0,
                supervisor=host.instance,
                now_ms=self.world.now,
            )
            if isinstance(txn, Txn):
                n = view.entries[key].noun.n + 1
                self.submit("claim", keys.attempt(job_id, index, n), txn, f"{job_id}/{index}")

    def _used(self) -> int:
        """Slots taken: attempts on me, undecided claims, whatever the supervisor holds."""
        attempts = self.view.of["attempt"]
        used = {key for key, entry in attempts.items() if entry.noun.node == self.name}
        used.update(self.host.regs)
        if "reserve_dropped" not in self.world.flags:
            used.update(f.msg.about for f in self.flight.values() if f.msg.kind == "claim")
        return len(used)

    # -- doors and homes

    def submit_job(self, j: int, z: int) -> None:
        """Accept job j, now and then with its first claim in the same transaction."""
        world = self.world
        job_id, spec = world.job_id(j), world.specs[j]
        if self.view.get(keys.job(job_id)) is not None:
            return
        with_claim = z % 3 == 0 and self.host.alive and self._used() < SLOTS
        claimant = jobs.Claimant(self.name, self.number, 0, self.host.instance)
        txn = jobs.accept(
            self.view,
            spec,
            job_id,
            now_ms=world.now,
            principal="p",
            body_hash="",
            claim_with=claimant if with_claim else None,
        )
        claimed = keys.attempt(job_id, 0, 1)
        if any(key == claimed for key, _ in txn.ops):
            self.submit("claim", claimed, txn, f"{job_id}/0")
        else:
            self.submit("accept", job_id, txn, f"{job_id}/0")

    def homes(self, y: int | None = None) -> None:
        """What is due for one entity, or for all."""
        if self.number <= 0:
            return
        of = self.view.of
        ks = [*of["attempt"], *of["job"], *of["task"], *of["closed"]]
        for key in ks if y is None else [sorted(ks)[y % len(ks)]] if ks else ():
            self._home(key)
        for job_id in sorted(self.cancels):
            entry = self.view.get(keys.job(job_id))
            if entry is None:
                continue
            self.submit(
                "cancel",
                job_id,
                jobs.cancel(self.view, job_id, "user", self.world.now),
                f"{job_id}/0",
            )
            if entry.noun.cancel_ms or entry.noun.state in TERMINAL:
                self.cancels.discard(job_id)

    def _home(self, key: str) -> None:
        view, now, kind = self.view, self.world.now, keys.kind(key)
        if kind == "attempt":
            self._home_of_attempt(key)
        elif kind == "closed":
            self.submit("compact", key, jobs.due(view, key, now_ms=now, rand=0.0), key)
        elif kind == "task":
            job_id, index = key.split("/")[1:]
            txn = jobs.due(view, key, now_ms=now, rand=0.0)
            self.submit("due", key, txn, f"{job_id}/{int(index)}")
        else:
            self._home_of_job(key)

    def _home_of_job(self, key: str) -> None:
        view, now, job_id = self.view, self.world.now, keys.last(key)
        job, busy = view.entries[key].noun, f"{job_id}/0"
        if job.state in TERMINAL:
            if now >= job.since_ms + KEEP_MS:
                self.submit("evict", job_id, jobs.evict(view, [job_id], now_ms=now), busy)
            return
        txn = jobs.due(view, key, now_ms=now, rand=0.0)
        if (txn is not None) != ((due_ms := jobs.due_at(view, key)) is not None and due_ms <= now):
            raise ViolationError("I-v", f"due_at {due_ms} and due disagree on {key} at {now}")
        if txn is not None:
            self.submit("due", key, txn, busy)
        elif load_job(view, job_id) is not None:
            self.submit("tasks", job_id, task_set.advance(view, job_id, now), busy)

    def _home_of_attempt(self, key: str) -> None:
        flags = self.world.flags
        if "loss_one_shot" in flags:
            return
        node = int(self.view.entries[key].noun.node[1:])
        if "loss_hearsay" in flags and self.world.nodes[node].cut:
            self._end_unasked(key)
            return
        txn = jobs.due(self.view, key, now_ms=self.world.now, rand=0.0)
        self._submit_end("lost", key, "lost", txn)


def _busy(attempt_key: str) -> str:
    job_id, index, _ = keys.attempt_parts(attempt_key)
    return f"{job_id}/{index}"
