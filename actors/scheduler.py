"""The scheduler of a node: it claims pending attempts for its free slots (pull, architecture §5).

Every node's scheduler has the whole pending set from the feed, places it on all nodes and claims
what it ranks itself first for; what another is better for it claims when that one does not. Two
that want the same attempt conflict in the store. What it reserves locally stands until the feed
shows what became of the claim, so a node never holds more attempts than slots (I-k).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec

from actors import addresses
from actors.core import job
from actors.core.backlog import Backlog
from actors.core.peers import Peers
from actors.core.pending import Pending, PendingQueue
from actors.core.permits import first_full, holders, key_hash
from actors.core.placement import Candidate, NodeCapacity, Placed, feasible, place
from actors.core.room import ClaimTurns, Room, cordoned
from actors.core.store.txn import Committed, Result
from actors.core.view import Change, View
from actors.executor_slot import Begin, CutOff, Look, SlotFree
from actors.model import keys
from actors.model.job import Attempt, Job
from actors.model.spec import JobSpec, Resources
from actors.node_agent import ClaimsAllowed, ClaimsForbidden, LookAtSlots
from actors.runtime import After, Context, Effect, Effects, Tell, handles
from actors.store_actor import StoreActor

__all__ = ["Scheduler"]

_WINDOW: Final = 256  # candidates looked at for the slots that are free in one pass


class _Turn(msgspec.Struct, frozen=True):
    """Nodes that were to claim before this one have had their time."""


class Scheduler(StoreActor):
    """One per node. `total` is what the node has; slots beyond its number only drain."""

    mailbox_limit = 10_000  # all slots may become free at once, and none says so twice

    grows = True  # an attempt writes a log and an output

    def __init__(self, view: View, peers: Peers, *, total: NodeCapacity, slots: int) -> None:
        super().__init__(view)
        self._node = node = total.node
        self._room = Room(view, peers)
        self._turns = ClaimTurns(node)
        self._total = total
        self._claim_as: ClaimsAllowed | None = None
        self._is_cut_off = False
        self._pending = Backlog()
        self._blocked: dict[str, PendingQueue] = {}  # hash of a full key → what waits for it
        self._blocked_on: dict[tuple[str, int], str] = {}
        self._let_through: dict[tuple[str, int], str] = {}  # by a permit that was freed: its key
        self._slots: list[str | None] = [None] * slots  # attempt, or record being claimed
        self._held: dict[str, tuple[int, Resources]] = {}  # the same → (slot, what it reserves)
        self._of_job: dict[str, set[int]] = {}

    # -- what others ask

    @property
    def queue_depth(self) -> int:
        """How many attempts wait for a slot."""
        return len(self._pending) + len(self._blocked_on)

    @property
    def capacity(self) -> NodeCapacity:
        """What the node has, and what of it is free."""
        reserved = [resources for _, resources in self._held.values()]
        return self._total._replace(
            slots_free=self._slots_free,
            cpu_milli_free=self._total.cpu_milli_total - sum(r.cpu_milli for r in reserved),
            memory_free=self._total.memory_total - sum(r.memory_bytes for r in reserved),
            cordoned=cordoned(self.view, self._node),
            ready=self._may_claim,
        )

    @property
    def _may_claim(self) -> bool:
        return self._claim_as is not None and not self._is_cut_off

    @property
    def capacities(self) -> list[NodeCapacity]:
        """What this node and the others that are alive have, and what of it is free."""
        return [self.capacity, *self._room.others()]

    @property
    def _slots_free(self) -> int:
        return self._slots[: self._total.slots_total].count(None)

    # -- the feed

    def rescan(self) -> Iterator[Effect]:
        """Derive the pending set from the state, and what this node holds."""
        self._pending = Backlog()
        self._blocked.clear()
        self._blocked_on.clear()
        self._let_through.clear()
        self._room.clear()
        for kind in ("job/", "task/"):
            for key, _ in self.view.scan(kind):
                self._place(key)
        for key, entry in self.view.scan("attempt/"):
            yield from self._hold(key, entry.revision, entry.noun)
        yield from self._look_at_all() or ()

    def changed(self, change: Change) -> Iterator[Effect]:
        """Take one change in."""
        match keys.kind(change.key):
            case "job" | "task":
                self._place(change.key)
                yield from self._look_at_slots(change.key.split("/")[1])
            case "attempt":
                entry = self.view.get(change.key)
                if entry is not None:
                    yield from self._hold(change.key, entry.revision, entry.noun)
                elif change.key in self._held:
                    yield Tell(addresses.slot(self._held[change.key][0]), Look())
                else:
                    self._room.free(change.key)
            case "permit" if change.deleted:
                self._unblock(change.key.split("/")[1])

    def _place(self, key: str) -> None:
        """Have a record in the pending set exactly while it is eligible and not being claimed."""
        job_id, index = _work_of(key)
        self._forget_blocked(job_id, index)
        entry = self.view.get(key)
        if entry is None or entry.noun.state != "pending" or key in self._held:
            self._pending.discard(job_id, index)
            if key not in self._held:
                self._pass_on(job_id, index)
            return
        job_entry = self.view.get(keys.job(job_id))
        assert job_entry is not None, "a task has its job"
        of_job: Job = job_entry.noun
        if of_job.tasks > 1 and keys.kind(key) == "job":
            return  # its tasks wait, not it
        waits = Pending(job_id, index, of_job.priority, entry.noun.eligible_ms, of_job.submitted_ms)
        self._pending.add(waits, self._spec(job_id))

    def ahead_of(self, job_id: str, task_index: int) -> int | None:
        """How many wait before this one; None when it does not wait here."""
        return self._pending.ahead_of(job_id, task_index, self.clock.now_ms())

    # -- slots

    def _hold(self, attempt: str, fence: int, noun: Attempt) -> Iterator[Effect]:
        """An attempt is in the state: a slot of this node has it, or another node has."""
        job_id, index, _ = keys.attempt_parts(attempt)
        if noun.node != self._node:
            self._room.take(attempt, noun, self._spec(job_id).resources)
            self._turns.heard(noun.node)
        if noun.node != self._node or attempt in self._held:
            return
        record = self._record(job_id, index)
        if record in self._held:
            self._free(record)
        self._let_through.pop((job_id, index), None)
        spec = self._spec(job_id)
        self._take(noun.slot, attempt, spec.resources)
        self._of_job.setdefault(job_id, set()).add(noun.slot)
        yield Tell(addresses.slot(noun.slot), Begin(attempt, fence))

    def _take(self, slot: int, holder: str, resources: Resources) -> None:
        assert self._slots[slot] is None, "a slot holds one attempt (I-k)"
        self._slots[slot] = holder
        self._held[holder] = (slot, resources)

    def _free(self, holder: str) -> None:
        slot, _ = self._held.pop(holder)
        self._slots[slot] = None

    @handles(SlotFree)
    def slot_free(self, message: SlotFree, context: Context) -> Effects:
        """Nothing is left of an attempt: its slot may have another."""
        if message.attempt not in self._held:
            return None  # told to an earlier instance, which the state has outlived
        job_id, _, _ = keys.attempt_parts(message.attempt)
        self._free(message.attempt)
        slots = self._of_job[job_id]
        slots.discard(message.slot)
        if not slots:
            del self._of_job[job_id]
        return self.decide()

    def _look_at_slots(self, job_id: str) -> Iterator[Effect]:
        for slot in self._of_job.get(job_id, ()):
            yield Tell(addresses.slot(slot), Look())

    @handles(LookAtSlots)
    def look_at_slots(self, message: LookAtSlots, context: Context) -> Effects:
        """What is wanted of this node has changed."""
        return self._look_at_all()

    def _look_at_all(self) -> Effects:
        held = (slot for slot, holder in enumerate(self._slots) if holder)
        return [Tell(addresses.slot(slot), Look()) for slot in held]

    @handles(CutOff)
    def cut_off(self, message: CutOff, context: Context) -> Effects:
        """The others are heard no more, or again; all slots are told."""
        self._is_cut_off = message.is_cut_off
        slots = (Tell(addresses.slot(slot), message) for slot in range(len(self._slots)))
        return [*slots, *self.decide()]

    # -- claiming

    @handles(ClaimsAllowed)
    def claims_allowed(self, message: ClaimsAllowed, context: Context) -> Effects:
        """The session stands and the job supervisor is compared with the store."""
        self._claim_as = message
        return self.decide()

    @handles(ClaimsForbidden)
    def claims_forbidden(self, message: ClaimsForbidden, context: Context) -> Effects:
        """No claim of the ended session commits any more; none is made before the next."""
        self._claim_as = None
        return None

    def decide(self) -> Iterator[Effect]:
        """Claim for each free slot what is next of what this node is to take."""
        if not self._may_claim or not len(self._pending) or self._slots_free <= 0:
            return
        if cordoned(self.view, self._node):
            return
        now_ms = int(self.clock.monotonic_s() * 1000)
        others = self._turns.speaking(self._room.takers(), now_ms)
        next_ms, waiting = None, -1
        while (free := self._slots_free) > 0 and len(self._pending) not in (0, waiting):
            waiting = len(self._pending)
            nodes = [self.capacity, *others]
            looked: dict[tuple[str, int], Pending] = {}
            full: list[Pending] = []
            limit = free + sum(node.slots_free for node in others)
            placed = place(self._candidates(nodes, looked, full), nodes, (), limit)
            for entry in full:
                self._wait_for_permit(entry)
            mine, next_ms = self._turns.of(self._within_permits(placed), now_ms)
            for work in mine:
                # What was taken over may have the room that was meant for one behind it.
                if not others or not feasible(self._spec(work[0]), self.capacity):
                    yield from self._claim(looked[work])
        if next_ms is not None:
            yield After((next_ms - now_ms) / 1000, _Turn(), key="turn")

    @handles(_Turn)
    def turn(self, message: _Turn, context: Context) -> Effects:
        """Look again: what others were to claim may be this node's by now."""
        return self.decide()

    def _candidates(
        self,
        nodes: list[NodeCapacity],
        looked: dict[tuple[str, int], Pending],
        full: list[Pending],
    ) -> Iterator[Candidate]:
        """Yield the best of what fits a node now, noting what was looked at, and what has to wait.

        The first placed may leave no room for the rest of its shape: after _WINDOW of those the
        next pass goes on without that shape.
        """
        fitting = self._pending.fitting(
            lambda spec: any(not feasible(spec, node) for node in nodes), self.clock.now_ms()
        )
        for entry in islice(fitting, _WINDOW):
            spec = self._spec(entry.job_id)
            if first_full(self.view, spec) is not None:
                full.append(entry)
                continue
            looked[entry.job_id, entry.task_index] = entry
            yield Candidate(entry.job_id, entry.task_index, spec)

    def _within_permits(self, placed: list[Placed]) -> list[Placed]:
        """Leave out what takes a permit that one before it, or a claim under way, is to take.

        It stays pending until the feed shows what became of that.
        """
        if not any(self._spec(found.job_id).concurrency for found in placed):
            return placed
        within = []
        claims = (_work_of(holder)[0] for holder in self._held if keys.kind(holder) != "attempt")
        taken = Counter(each.key for job_id in claims for each in self._spec(job_id).concurrency)
        for found in placed:
            wanted = self._spec(found.job_id).concurrency
            held = {each.key: sum(1 for _ in holders(self.view, each)) for each in wanted}
            if all(held[each.key] + taken[each.key] < each.max for each in wanted):
                taken.update(held.keys())
                within.append(found)
        return within

    def _claim(self, entry: Pending) -> Iterator[Effect]:
        """Reserve a slot and submit the claim, or put the entry where it waits."""
        assert self._claim_as is not None, "claims are allowed"
        slot = self._slots.index(None)
        txn = job.claim(
            self.view,
            entry.job_id,
            entry.task_index,
            node=self._node,
            session_revision=self._claim_as.session,
            slot=slot,
            supervisor=self._claim_as.supervisor,
            now_ms=self.clock.now_ms(),
        )
        self._pending.discard(entry.job_id, entry.task_index)
        if isinstance(txn, job.Wait):
            if txn.reason == "concurrency":
                self._block(entry)
            self._pass_on(entry.job_id, entry.task_index)
            return  # anything else never starts again from this state: its end is asked for
        record = self._record(entry.job_id, entry.task_index)
        self._take(slot, record, self._spec(entry.job_id).resources)
        yield from self.submit(record, txn)

    # -- behind concurrency keys

    def _wait_for_permit(self, entry: Pending) -> None:
        """Take an entry out of the queue until a permit of its full key is free."""
        self._pending.discard(entry.job_id, entry.task_index)
        self._block(entry)
        self._pass_on(entry.job_id, entry.task_index)

    def _block(self, entry: Pending) -> None:
        """Have an entry wait until a permit of its full key is free."""
        full = first_full(self.view, self._spec(entry.job_id))
        assert full is not None, "the claim found that key full in this very view"
        hashed = key_hash(full.key)
        self._blocked.setdefault(hashed, PendingQueue()).add(entry)
        self._blocked_on[entry.job_id, entry.task_index] = hashed
        if self._let_through.get((entry.job_id, entry.task_index)) == hashed:
            del self._let_through[entry.job_id, entry.task_index]  # another one was faster

    def _unblock(self, hashed: str) -> None:
        """A permit is free: the best that waits for it may try."""
        waiting = self._blocked.get(hashed)
        if waiting is not None:
            best = next(waiting.best_first(self.clock.now_ms()))
            self._forget_blocked(best.job_id, best.task_index)
            self._pending.add(best, self._spec(best.job_id))
            self._let_through[best.job_id, best.task_index] = hashed

    def _pass_on(self, job_id: str, task_index: int) -> None:
        """What a free permit let through does not take it: the next one may try."""
        hashed = self._let_through.pop((job_id, task_index), None)
        if hashed is not None:
            self._unblock(hashed)

    def _forget_blocked(self, job_id: str, task_index: int) -> None:
        hashed = self._blocked_on.pop((job_id, task_index), None)
        if hashed is not None:
            waiting = self._blocked[hashed]
            waiting.discard(job_id, task_index)
            if not len(waiting):
                del self._blocked[hashed]

    # -- what became of claims

    def decided(self, entity: str, result: Result) -> Effects:
        """A claim that did not commit gives its slot back; one that did keeps it (rule 10)."""
        if not isinstance(result, Committed):
            self._give_back(entity)
        return None

    def refused(self, entity: str) -> None:
        """Not ordered at all (the disk is full): as a conflict."""
        self._give_back(entity)

    def _give_back(self, entity: str) -> None:
        if entity in self._held:
            self._free(entity)
        self._place(entity)

    # -- names

    def _spec(self, job_id: str) -> JobSpec:
        entry = self.view.get(keys.spec(job_id))
        assert entry is not None, "a job has its spec"
        return entry.noun  # type: ignore[no-any-return]

    def _record(self, job_id: str, index: int) -> str:
        return keys.task(job_id, index) if self._spec(job_id).fanned_out else keys.job(job_id)


def _work_of(key: str) -> tuple[str, int]:
    """Return (job id, task index) of a job's or a task's key."""
    parts = key.split("/")
    return parts[1], int(parts[2]) if parts[0] == "task" else 0
