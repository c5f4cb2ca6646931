"""The invariants of a cluster under simulation, checked at every commit of the shared order.

C-a  an attempt is spawned at most once
C-b  what was acknowledged is there, or has ended
C-c  a record runs exactly while it has one attempt, of its own number
C-d  a node has no more attempts than slots, one to a slot
C-e  a terminal record never changes, and only terminal records go, once a majority has them in
     its history
C-f  no attempt is claimed after a cancel of its job was answered
C-g  a permit is below its maximum and held by the attempt that names it
C-h  open tasks never exceed the parallelism
C-i  an attempt is claimed by a node that its job allows, in a session that is up
C-j  what the actors derive equals a rescan of the state; reconcile repairs nothing
C-k  no actor crashes
C-l  nobody but its node ends an attempt whose node's session is up
C-m  who is cut off for long spawns nothing
C-n  when the faults end, every job ends and nothing is left, not on a drained node either
C-o  no node is lost that a majority could hear
C-p  a node claims nothing once it has seen that it is cordoned
C-q  all nodes execute the same command at the same place
"""

from __future__ import annotations

from collections import Counter

from actors import addresses
from actors.core import job as jobs
from actors.core.job.work import load
from actors.core.permits import key_hash
from actors.core.room import cordoned
from actors.core.store.state import State
from actors.core.store.txn import Committed, Txn
from actors.home import Home
from actors.model import keys
from actors.model.job import TERMINAL
from actors.scheduler import Scheduler
from tests.sim.cluster.machine import SLOTS, TIMEOUT_MS, Machine, Process
from tests.sim.cluster.shared_order import SharedOrder
from tests.sim.violation import ViolationError

__all__ = ["Monitor", "need"]

_CLOCKS_MS = 300  # by which the nodes' clocks may differ
_KINDS = ("job/", "task/", "attempt/", "idempotency/", "closed/")


def need(ok: bool, letter: str, text: str) -> None:
    if not ok:
        raise ViolationError(letter, text)


class Monitor:
    """Judges the same order on a state of its own."""

    def __init__(self, order: SharedOrder, machines: dict[str, Machine]) -> None:
        self._order = order
        self._machines = machines
        for machine in machines.values():
            machine.spawned = self._spawned
        self.truth = State()
        self._judged = 0
        self._ended: dict[str, str] = {}
        self._cancelled: dict[str, int] = {}
        self.spawns: set[str] = set()
        self._cut_off_s: dict[str, float] = {}
        self._well_ms: dict[str, int] = {}  # since when a node runs, in contact with a majority
        self._cordoned_ms: dict[str, int] = {}  # since when a node has seen that
        self.accepted: dict[str, int] = {}
        self.coverage: Counter[str] = Counter()

    # -- what clients were told

    def acknowledged(self, job_id: str, revision: int) -> None:
        self.accepted.setdefault(job_id, revision)

    def cancel_acknowledged(self, job_id: str, revision: int) -> None:
        self._cancelled.setdefault(job_id, revision)

    # -- what machines do

    def _spawned(self, node: str, attempt: str) -> None:
        need(attempt not in self.spawns, "C-a", f"{attempt} spawned twice")
        self.spawns.add(attempt)
        now_s = self._order.host.clock.elapsed_s
        since_s = self._cut_off_s.get(node, now_s)
        # Two intervals until it knows, and the frame that starts it may be stalled on its way.
        late = now_s - since_s > TIMEOUT_MS / 1000 + 5
        need(not late, "C-m", f"{attempt} spawned, {node} cut off for {now_s - since_s:.1f} s")

    # -- commits

    def look(self) -> None:
        """Judge what was ordered since."""
        entries = self._order.entries
        if self._judged < len(entries):
            for node, _, _, txn in entries[self._judged :]:
                self._commit(node, txn)
            self._judged = len(entries)
            self._accepted()
        self._note_contact()

    def _note_contact(self) -> None:
        host = self._order.host
        now_s, now_ms = host.clock.elapsed_s, host.true_ms
        for name, machine in self._machines.items():
            in_contact = self._order.has_quorum(name)
            if in_contact:
                self._cut_off_s.pop(name, None)
            else:
                self._cut_off_s.setdefault(name, now_s)
            if in_contact and machine.process is not None and not host.is_paused(name):
                self._well_ms.setdefault(name, now_ms)
            else:
                self._well_ms.pop(name, None)
            if machine.process is not None and cordoned(machine.process.state, name):
                self._cordoned_ms.setdefault(name, now_ms)
            else:
                self._cordoned_ms.pop(name, None)

    def _commit(self, node: str, txn: Txn) -> None:
        truth = self.truth
        before = {key: truth.get(key) for key, _ in txn.ops}
        ended = [k for k, v in txn.ops if v is None and k.startswith("attempt/")]
        of_lost = [k for k in ended if (e := before[k]) and not self._is_up(e.noun.node)]
        result = truth.apply(txn)
        events = truth.take_events()
        claims = any(k.startswith("attempt/") for k, r in txn.checks if r == 0)
        if claims:
            self.coverage[f"claim {type(result).__name__}"] += 1
        if not isinstance(result, Committed):
            return
        for event in events:
            self.coverage[event.type] += 1
            if event.type == "jobd:node:lost":
                self._lost(event.data["node"], txn.now_ms)
        for key, value in txn.ops:
            self._op(node, key, value is None, txn.now_ms)
        for key in ended:
            entry = before[key]
            own = entry is not None and entry.noun.node == node
            need(own or key in of_lost, "C-l", f"{node} ends {key} of a node that is up")
            self.coverage["ended by another node"] += not own
        self._slots()
        self._permits()

    def _lost(self, node: str, said_ms: int) -> None:
        well_ms = said_ms - self._well_ms.get(node, said_ms)
        need(well_ms < TIMEOUT_MS + 3_000, "C-o", f"{node} is lost, well for {well_ms} ms")

    def _op(self, node: str, key: str, gone: bool, now_ms: int) -> None:
        match keys.kind(key):
            case "job" | "task":
                self._record(key, gone)
            case "attempt" if not gone:
                self._claim(node, key, now_ms)
        parts = key.split("/")
        if parts[0] in ("job", "task", "attempt"):
            self._running(parts[1])

    def _is_up(self, node: str) -> bool:
        entry = self.truth.get(keys.session(node))
        return entry is not None and entry.noun.state == "up"

    def _record(self, key: str, gone: bool) -> None:
        known = self._ended.get(key)
        if gone:
            need(known is not None, "C-e", f"open {key} is gone")
            if key.startswith("job/"):
                job = ("job", keys.last(key))
                kept = sum(m.history.has[job] > 0 for m in self._machines.values())
                need(kept > len(self._order.voters) // 2, "C-e", f"{key} is in {kept} histories")
                self.coverage["evicted"] += 1
            return
        entry = self.truth.get(key)
        assert entry is not None
        need(known is None, "C-e", f"{key} was {known}, is written again")
        if entry.noun.state in TERMINAL:
            self._ended[key] = entry.noun.state
            self.coverage[f"{keys.kind(key)} {entry.noun.state} ({entry.noun.reason})"] += 1

    def _claim(self, node: str, key: str, now_ms: int) -> None:
        entry = self.truth.get(key)
        assert entry is not None
        job_id, index, _ = keys.attempt_parts(key)
        asked = self._cancelled.get(job_id)
        need(asked is None or entry.revision < asked, "C-f", f"{key} claimed after its cancel")
        work = load(self.truth, job_id, index)
        assert work is not None
        wanted = work.spec.placement
        allowed = wanted.node in (None, node) and wanted.labels.get("node", node) == node
        need(allowed and entry.noun.node == node, "C-i", f"{key} claimed by {node}: {wanted}")
        seen_ms = self._cordoned_ms.get(node, now_ms)
        need(now_ms - seen_ms < _CLOCKS_MS, "C-p", f"{key} claimed by {node}, which is cordoned")
        need(self._is_up(node), "C-i", f"{key} claimed by {node}, which has no session")

    def _running(self, job_id: str) -> None:
        truth, job = self.truth, self.truth.get(keys.job(job_id))
        held = sorted(
            keys.attempt_parts(key)[1:] for key, _ in truth.scan(keys.attempts_of(job_id))
        )
        if job is None:
            need(not held, "C-c", f"job {job_id} is gone, attempts {held} are not")
            return
        records = {0: job.noun}
        if job.noun.tasks > 1:
            tasks = truth.scan(keys.tasks_of(job_id))
            records = {int(keys.last(key)): entry.noun for key, entry in tasks}
            spec = truth.get(keys.spec(job_id))
            assert spec is not None
            live = sum(record.state not in TERMINAL for record in records.values())
            most = spec.noun.parallelism or spec.noun.tasks
            need(live <= most, "C-h", f"{live} open tasks of {job_id}")
        wanted = sorted((i, r.n) for i, r in records.items() if r.state == "running")
        need(held == wanted, "C-c", f"{job_id} runs {wanted}, attempts {held}")

    def _slots(self) -> None:
        taken: dict[str, list[int]] = {}
        for _, entry in self.truth.scan("attempt/"):
            taken.setdefault(entry.noun.node, []).append(entry.noun.slot)
        for node, slots in taken.items():
            ok = len(slots) <= SLOTS and len(set(slots)) == len(slots)
            need(ok, "C-d", f"slots {slots} of {node}")

    def _permits(self) -> None:
        truth = self.truth
        for key, entry in truth.scan("permit/"):
            attempt = truth.get(entry.noun.attempt)
            named = attempt is not None and key in attempt.noun.permits
            need(named, "C-g", f"{key} is held by {entry.noun.attempt}, which is gone")
            spec = truth.get(keys.spec(keys.attempt_parts(entry.noun.attempt)[0]))
            assert spec is not None
            most = {key_hash(each.key): each.max for each in spec.noun.concurrency}
            _, hashed, number = key.split("/")
            need(int(number) < most[hashed], "C-g", f"{key} is above {most[hashed]}")

    def _accepted(self) -> None:
        for job_id in self.accepted:
            key = keys.job(job_id)
            there = key in self._ended or self.truth.get(key) is not None
            need(there, "C-b", f"accepted job {job_id} is lost")

    # -- what is derived

    def derived(self) -> None:
        """Compare what actors keep, where they have caught up, with their node's state."""
        for cell in self._order.host.cells.values():
            need(cell.incarnation <= 1, "C-k", f"{cell.address} crashed: {cell.last_error}")
        for machine in self._machines.values():
            process = machine.process
            if process is None:
                continue
            scheduler, home = process.actor(addresses.SCHEDULER), process.actor(addresses.HOME)
            if scheduler._cursor == process.state.revision:
                self._scheduler(process, scheduler)
            if home._cursor == process.state.revision:
                self._home(process, home)

    def _scheduler(self, process: Process, scheduler: Scheduler) -> None:
        state, wanted = process.state, set()
        for kind in ("job/", "task/"):
            for key, entry in state.scan(kind):
                work = load(state, *_work_of(key))
                fanned = kind == "job/" and entry.noun.tasks > 1
                if entry.noun.state == "pending" and not fanned and work and not work.stopping:
                    wanted.add(_work_of(key))
        queued = set(scheduler._pending) | set(scheduler._blocked_on)
        queued -= {each for each in queued if (work := load(state, *each)) and work.stopping}
        claiming = {_work_of(h) for h in scheduler._held if not h.startswith("attempt/")}
        need(queued <= wanted <= queued | claiming, "C-j", f"{queued} waits, not {wanted}")

    def _home(self, process: Process, home: Home) -> None:
        for kind in _KINDS:
            for key, _ in process.state.scan(kind):
                known = key in home._turns or home.undecided(key) or home._line_moves(key)
                due_ms = None if known else jobs.due_at(process.state, key)
                need(due_ms is None, "C-j", f"{key} is due at {due_ms}, unknown at {process.name}")
        need(home.repairs == 0, "C-j", f"reconcile of {process.name} repaired {home.repairs}")

    # -- the end

    def leftover(self) -> str:
        """Return what still keeps the cluster from being at rest."""
        truth = self.truth
        live = [key for key, e in truth.scan("job/") if e.noun.state not in TERMINAL]
        if live:
            return f"open jobs {[(k, truth.get(k)) for k in live[:2]]}"
        for kind in ("attempt/", "permit/"):
            if truth.count(kind[:-1]):
                return f"{kind}: {list(truth.scan(kind))}"
        for machine in self._machines.values():
            process = machine.process
            if process is None or not process.is_ready:
                return f"{machine.name} is not ready"
            scheduler = process.actor(addresses.SCHEDULER)
            if scheduler.queue_depth or scheduler._held:
                return f"held slots of {machine.name}: {scheduler._held}"
            if machine.supervisor:
                return f"{len(machine.supervisor)} attempts in the spool of {machine.name}"
        return ""


def _work_of(key: str) -> tuple[str, int]:
    """The (job id, task index) of a job's or a task's key."""
    parts = key.split("/")
    return parts[1], int(parts[2]) if parts[0] == "task" else 0
