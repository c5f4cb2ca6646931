"""The invariants of a node under simulation, looked at after every step that changed the state.

N-a  what was applied or acknowledged is there after any crash, as it was
N-b  an attempt is spawned at most once, and never after its end was applied
N-c  a record runs exactly while it has one attempt, of its own number
N-d  no more attempts than slots, one to a slot
N-e  a terminal record never changes, and only terminal records go
N-f  no attempt is claimed after a cancel of its job was answered
N-g  a permit is below its maximum and held by the attempt that names it
N-h  open tasks never exceed the parallelism
N-i  events are dense, in order and each once, and none that was read is taken back
N-j  what the actors derive equals a rescan of the state; reconcile repairs nothing
N-k  no actor crashes
N-l  a key makes one job
N-m  the log of an attempt is archived before its job supervisor forgets it
N-n  when the faults end, every job ends and nothing is left: attempt, permit, queue, spool, slot
N-o  what has ended, and each event, goes to the history once, and no record is evicted before
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from actors import addresses
from actors.core import job as jobs
from actors.core.job.work import load
from actors.core.permits import key_hash
from actors.core.supervisor_protocol import ExitRecord
from actors.core.view import Entry
from actors.home import Home
from actors.model import keys
from actors.model.event import Event
from actors.model.job import TERMINAL
from actors.scheduler import Scheduler
from tests.sim.node.machine import SLOTS, Machine, NodeSim
from tests.sim.violation import ViolationError

__all__ = ["LETTERS", "Monitor"]

_ENDED = ("jobd:job:completed", "jobd:job:failed", "jobd:job:cancelled", "jobd:job:expired")
LETTERS = tuple(line[:3] for line in (__doc__ or "").splitlines() if line.startswith("N-"))


def need(ok: bool, letter: str, text: str) -> None:
    if not ok:
        raise ViolationError(letter, text)


class Monitor:
    """Watches one machine through all processes of its node."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        machine.spawned = self._spawned
        machine.forgotten = self._forgotten
        self._revision = 0
        self._shadow: dict[str, tuple[int, bytes]] = {}  # the state as it was last applied
        self._ended: dict[str, str] = {}  # terminal records, by key
        self.spawns: set[str] = set()
        self._claimed: set[str] = set()
        self.accepted: dict[str, int] = {}  # acknowledged job -> revision
        self.deleted: set[str] = set()
        self._cancelled: dict[str, int] = {}
        self._by_key: dict[str, str] = {}
        self.heard: list[Event] = []  # by a listener that follows
        self.coverage: Counter[str] = Counter()

    # -- what clients were told

    def acknowledged(self, job_id: str, revision: int, key: str) -> None:
        need(self._by_key.setdefault(key, job_id) == job_id, "N-l", f"{key} made two jobs")
        self.accepted.setdefault(job_id, revision)

    def cancel_acknowledged(self, job_id: str, revision: int) -> None:
        self._cancelled.setdefault(job_id, revision)

    def may_be_gone(self, job_id: str) -> bool:
        """Whether a job may have been deleted, or evicted after its end."""
        return job_id in self.deleted or keys.job(job_id) in self._ended

    # -- what the job supervisor does

    def _spawned(self, attempt: str) -> None:
        need(attempt not in self.spawns, "N-b", f"{attempt} spawned twice")
        self.spawns.add(attempt)
        gone = attempt in self._claimed and attempt not in self._shadow
        need(not gone, "N-b", f"{attempt} spawned after its end")

    def _forgotten(self, attempt: str, ends: ExitRecord) -> None:
        deleted = keys.attempt_parts(attempt)[0] in self.deleted
        kept = attempt in self._machine.job_logs.archived or not ends.log_seq or deleted
        need(kept, "N-m", f"the log of {attempt} is forgotten")

    # -- the state

    def booted(self, node: NodeSim) -> None:
        """Compare what a process recovered with all that was applied before."""
        state = node.state
        before = self._revision
        need(state.revision >= before, "N-a", f"at r{state.revision}, r{before} was applied")
        for key, (revision, value) in self._shadow.items():
            now = state.raw(key)
            newer = state.revision > before if now is None else now[0] > before
            need(now == (revision, value) or newer, "N-a", f"{key} of r{revision} is {now}")
        changed = [key for key in self._shadow if state.raw(key) is None]
        changed += [key for kind in _kinds(node) for key, _ in state.scan(f"{kind}/")]
        self._take(node, changed)

    def look(self) -> None:
        """Check what the last step changed."""
        node = self._machine.node
        if node is None or node.state.revision == self._revision:
            return
        changes = node.state.changes(self._revision, 1 << 30)
        assert changes is not None, "the feed is longer than a step"
        self._take(node, [change.key for change in changes])

    def _take(self, node: NodeSim, changed: list[str]) -> None:
        state = node.state
        self._revision = state.revision
        for key in dict.fromkeys(changed):
            entry, stored = state.get(key), state.raw(key)
            match keys.kind(key):
                case "job" | "task":
                    self._record(node, key, entry)
                case "attempt":
                    self._attempt(node, key, entry)
            if stored is None:
                self._shadow.pop(key, None)
            else:
                self._shadow[key] = stored
        for job_id in self.accepted:
            there = keys.job(job_id) in self._shadow or keys.job(job_id) in self._ended
            need(there, "N-a", f"accepted job {job_id} is lost")
        self._slots(node)
        self._permits(node)

    def _record(self, node: NodeSim, key: str, entry: Entry | None) -> None:
        if entry is None:
            need(key in self._ended or key not in self._shadow, "N-e", f"open {key} is gone")
            if keys.kind(key) == "job" and keys.last(key) not in self.deleted:
                kept = self._machine.history.has["job", keys.last(key)]
                need(kept == 1, "N-o", f"{key} is evicted, {kept} times in the history")
            return
        record, known = entry.noun, self._ended.get(key)
        need(known in (None, record.state), "N-e", f"{key} was {known}, is {record.state}")
        if record.state in TERMINAL and known is None:
            self._ended[key] = record.state
            self.coverage[f"{keys.kind(key)} {record.state} ({record.reason})"] += 1
        if keys.kind(key) == "job" and record.tasks > 1:
            self._fan_out(node, keys.last(key))
        else:
            self._running(node, key)

    def _running(self, node: NodeSim, key: str) -> None:
        job_id, index = _work_of(key)
        entry = node.state.get(key)
        held = [
            keys.attempt_parts(attempt)[2]
            for attempt, _ in node.state.scan(keys.attempts_of(job_id))
            if keys.attempt_parts(attempt)[1] == index
        ]
        wanted = [entry.noun.n] if entry is not None and entry.noun.state == "running" else []
        need(held == wanted, "N-c", f"{key} is {entry}, attempts {held}")
        if keys.kind(key) == "task":
            self._fan_out(node, job_id)

    def _fan_out(self, node: NodeSim, job_id: str) -> None:
        spec = node.state.get(keys.spec(job_id))
        if spec is None or not spec.noun.parallelism:
            return
        tasks = node.state.scan(keys.tasks_of(job_id))
        live = sum(task.noun.state not in TERMINAL for _, task in tasks)
        need(live <= spec.noun.parallelism, "N-h", f"{live} open tasks of {job_id}")

    def _attempt(self, node: NodeSim, key: str, entry: Entry | None) -> None:
        job_id, index, _ = keys.attempt_parts(key)
        spec = node.state.get(keys.spec(job_id))
        if spec is not None:
            fanned = spec.noun.fanned_out
            self._running(node, keys.task(job_id, index) if fanned else keys.job(job_id))
        if entry is None or key in self._claimed:
            return
        self._claimed.add(key)
        asked = self._cancelled.get(job_id)
        late = asked is not None and entry.revision > asked
        need(not late, "N-f", f"{key} claimed at r{entry.revision}, cancelled at r{asked}")

    def _slots(self, node: NodeSim) -> None:
        slots = [entry.noun.slot for _, entry in node.state.scan("attempt/")]
        need(len(slots) <= SLOTS and len(set(slots)) == len(slots), "N-d", f"slots {slots}")

    def _permits(self, node: NodeSim) -> None:
        state = node.state
        held: dict[str, str] = {}
        for key, entry in state.scan("permit/"):
            held[key] = entry.noun.attempt
            attempt = state.get(entry.noun.attempt)
            named = attempt is not None and key in attempt.noun.permits
            need(named, "N-g", f"{key} is held by {entry.noun.attempt}, which is gone")
            spec = state.get(keys.spec(keys.attempt_parts(entry.noun.attempt)[0]))
            assert spec is not None, "an attempt has its spec"
            most = {key_hash(each.key): each.max for each in spec.noun.concurrency}
            _, hashed, number = key.split("/")
            need(int(number) < most[hashed], "N-g", f"{key} is above {most[hashed]}")
        for key, entry in state.scan("attempt/"):
            kept = all(held.get(permit) == key for permit in entry.noun.permits)
            need(kept, "N-g", f"{key} runs without its permits")

    def recorded(self, events: list[Event]) -> None:
        """Compare the history, which has caught up, with what has ended and happened."""
        history = self._machine.history
        twice = [what for what, times in history.has.items() if times > 1]
        need(not twice, "N-o", f"{twice[:3]} are twice in the history")
        wanted: set[tuple[object, ...]] = {("event", event.revision, event.k) for event in events}
        ended = (key for key in self._ended if key in self._shadow)
        wanted |= {("job", keys.last(key)) for key in ended if keys.kind(key) == "job"}
        missing = wanted - history.has.keys()
        need(not missing, "N-o", f"{sorted(map(str, missing))[:3]} are not in the history")

    @property
    def has_ended(self) -> bool:
        """Whether a job has ended: before, there is no history."""
        return any(keys.kind(key) == "job" for key in self._ended)

    # -- what is derived

    def derived(self) -> None:
        """Compare what actors keep, where they have caught up, with the state."""
        node = self._machine.node
        if node is None:
            return
        for cell in self._machine.host.cells.values():
            need(cell.incarnation <= 1, "N-k", f"{cell.address} crashed")
        scheduler, home = node.actor(addresses.SCHEDULER), node.actor(addresses.HOME)
        if scheduler._cursor == node.state.revision:
            self._scheduler(node, scheduler)
        if home._cursor == node.state.revision:
            self._home(node, home)

    def _scheduler(self, node: NodeSim, scheduler: Scheduler) -> None:
        wanted = set()
        for kind in ("job/", "task/"):
            for key, entry in node.state.scan(kind):
                fanned = kind == "job/" and entry.noun.tasks > 1
                work = load(node.state, *_work_of(key))
                if entry.noun.state == "pending" and not fanned and work and not work.stopping:
                    wanted.add(_work_of(key))
        queued = set(scheduler._pending) | set(scheduler._blocked_on)
        queued -= {each for each in queued if (work := load(node.state, *each)) and work.stopping}
        claiming = {
            _work_of(holder) for holder in scheduler._held if not holder.startswith("attempt/")
        }
        need(queued <= wanted <= queued | claiming, "N-j", f"{queued} waits, not {wanted}")
        held = {holder for holder in scheduler._held if holder.startswith("attempt/")}
        there = {key for key, _ in node.state.scan("attempt/")}
        need(there <= held, "N-j", f"attempts {there - held} have no slot")

    def _home(self, node: NodeSim, home: Home) -> None:
        counted = Counter(entry.noun.state for _, entry in node.state.scan("job/"))
        need(+home.jobs_by_state == counted, "N-j", f"{home.jobs_by_state}, not {counted}")
        for kind in ("job/", "task/", "attempt/", "idempotency/", "closed/"):
            for key, _ in node.state.scan(kind):
                due_ms = jobs.due_at(node.state, key)
                known = key in home._turns or home.undecided(key)
                known = known or home._line_moves(key)
                need(due_ms is None or known, "N-j", f"{key} is due at {due_ms}, unknown at home")
        need(home.repairs == 0, "N-j", f"reconcile repaired {home.repairs}")

    # -- events

    def events(self, read: list[Event]) -> None:
        """Check all events of the node, read from the first on."""
        places = [(event.revision, event.k) for event in read]
        need(places == sorted(set(places)), "N-i", "events are out of order or doubled")
        of: dict[int, int] = defaultdict(int)
        for revision, k in places:
            need(k == of[revision], "N-i", f"event {revision}-{k} where {of[revision]} is next")
            of[revision] += 1
        taken_back = self.heard[: len(read)] != read[: len(self.heard)]
        need(not taken_back, "N-i", "an event that was read is not there any more")
        told: dict[str, Counter[str]] = defaultdict(Counter)
        for event in read:
            told[event.subject][event.type] += 1
        for key, state in self._ended.items():
            if keys.kind(key) == "job":
                ends = sum(told[key][kind] for kind in _ENDED)
                need(ends == 1, "N-i", f"{key} ended {state}, {ends} events say so")
                need(told[key]["jobd:job:submitted"] == 1, "N-i", f"{key} submitted twice")

    # -- the end

    def leftover(self) -> str:
        """Return what still keeps the node from being at rest."""
        machine, node = self._machine, self._machine.node
        if node is None or not node.is_ready:
            return "the node is not ready"
        live = [key for key, e in node.state.scan("job/") if e.noun.state not in TERMINAL]
        if live:
            return f"open jobs {live}"
        for kind in ("attempt/", "permit/"):
            if node.state.count(kind[:-1]):
                return f"{kind}: {list(node.state.scan(kind))}"
        scheduler: Any = node.actor(addresses.SCHEDULER)
        if scheduler.queue_depth or scheduler._held:
            return f"held slots {scheduler._held}"
        return f"{len(machine.supervisor)} attempts in the spool" if machine.supervisor else ""


def _work_of(key: str) -> tuple[str, int]:
    """The (job id, task index) of a job's or a task's key."""
    parts = key.split("/")
    return parts[1], int(parts[2]) if parts[0] == "task" else 0


def _kinds(node: NodeSim) -> list[str]:
    return list(node.state._order)
