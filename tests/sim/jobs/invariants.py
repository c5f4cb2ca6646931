"""The invariants of the job lifecycle, checked after each commit (docs/internals/job-lifecycle.md).

`check` sees the transaction, what its keys held before, and the truth after it; each violation
names the letter of its invariant.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import msgspec

from actors.core.job.states import JOB, TASK
from actors.core.view import Entry
from actors.model import keys
from actors.model.job import TERMINAL, Job, Task
from tests.sim.jobs.store import Msg
from tests.sim.violation import ViolationError

if TYPE_CHECKING:
    from tests.sim.jobs.world import World

__all__ = ["LETTERS", "check"]

SLOTS = 2
LETTERS = {
    "I-a": "an attempt is spawned at most once",
    "I-b": "only the attempt that holds the fence ends its work, and by what really happened",
    "I-c": "when the faults end, every accepted job ends and nothing is left behind",
    "I-d": "a permit is held by exactly the attempt that runs with it, never above its maximum",
    "I-e": "open tasks never exceed the parallelism, and a fan-out ends as its tasks did",
    "I-f": "terminal is terminal; no attempt starts after a stop; a stop is never overwritten",
    "I-g": "only terminal jobs are evicted",
    "I-h": "running is exactly one attempt key, and its number is the record's",
    "I-j": "an id is accepted once, ever",
    "I-k": "a node never holds more attempts than slots",
    "I-l": "nobody but its node ends an attempt whose node's session is up",
    "I-n": "an attempt is not reported lost by its own node while its process runs",
    "I-o": "nothing is spawned after its own node ended it",
    "I-s": "a (session, seq) has one answer; two processes never share a session",
    "I-u": "every committed change of a state is a row of the state tables",
    "I-v": "due_at and due agree: a decision exactly from due_at on",
    "I-w": "a late result changes nothing but the summary of its attempt",
}
_STEPS: dict[Any, set[tuple[str, str]]] = {
    Job: {(row.source, row.target) for row in JOB},
    Task: {(row.source, row.target) for row in TASK},
}


def need(ok: bool, invariant: str, text: str) -> None:
    if not ok:
        raise ViolationError(invariant, text)


def check(world: World, msg: Msg, before: dict[str, Entry | None]) -> None:
    """Judge one commit: the transaction, then the state that it left."""
    _transaction(world, msg, before)
    for key, old in before.items():
        _change(world, msg, key, old, world.store.truth.get(key))
    _state(world)


def _transaction(world: World, msg: Msg, before: dict[str, Entry | None]) -> None:
    kind = msg.kind
    for key, old in before.items():
        if key.startswith("job/") and old is None:
            need(key not in world.accepted, "I-j", f"{key} accepted twice")
            world.accepted.add(key)
    if kind == "claim":
        job_id = keys.attempt_parts(msg.about)[0]
        need(job_id not in world.stopped, "I-f", f"{msg.about} claimed after its stop")
    if kind in ("finish", "lost"):
        _ended(world, msg, before)


def _ended(world: World, msg: Msg, before: dict[str, Entry | None]) -> None:
    key, fence, outcome = msg.about
    held = before.get(key)
    need(held is not None and held.revision == fence, "I-b", f"{key} ended under fence r{fence}")
    assert held is not None
    host = world.hosts[int(held.noun.node[1:])]
    if msg.kind == "finish":
        world.finished.add(key)
        world.cover("finish of an attempt claimed in an earlier session", fence < msg.session)
        late = outcome != "lost" and held.noun.supervisor != world.hosts[msg.node].instance
        world.cover("finish from an exit record whose supervisor died", late)
        world.cover("attempt reported lost by its own node", outcome == "lost")
        world.cover("attempt ended by a drain", outcome == "preempted")
        orphan = outcome == "lost" and key in world.hosts[msg.node].orphans
        need(not orphan, "I-n", f"{key} reported lost while its process runs")
        return
    world.cover("attempt of a lost node ended by another")
    world.cover("ditto, its process runs on", host.regs.get(key) == "run")
    session = world.store.truth.entries[keys.session(held.noun.node)]
    need(session.noun.state == "lost", "I-l", f"{key} taken from a node whose session is up")


def _change(world: World, msg: Msg, key: str, old: Entry | None, new: Entry | None) -> None:
    kind = keys.kind(key)
    if kind == "session":
        if new is not None and new.noun.state == "lost":
            same = old is not None and old.noun.incarnation == new.noun.incarnation
            up = old is not None and old.noun.state == "up"
            need(same and up, "I-l", f"a loss replaced another session at {key}")
    elif kind in ("job", "task"):
        _record_change(world, msg, key, old, new)


def _record_change(world: World, msg: Msg, key: str, old: Entry | None, new: Entry | None) -> None:
    if old is not None and old.noun.state in TERMINAL:
        need(new is None and msg.kind == "evict", "I-f", f"terminal {key} changed by {msg.kind}")
    if new is None:
        need(old is not None and old.noun.state in TERMINAL, "I-g", f"open {key} evicted")
        return
    record = new.noun
    if msg.kind == "late":
        told = old is not None and msgspec.structs.replace(record, last=old.noun.last) == old.noun
        need(told, "I-w", f"a late result changed {key}")
        world.cover("late result of an open record")
    source = old.noun.state if old is not None else "new"
    step = (source, record.state)
    need(step in _STEPS[type(record)] or source == record.state, "I-u", f"{key}: {step}")
    if isinstance(record, Job):
        if old is not None and (old.noun.cancel_ms or old.noun.stop):
            kept = record.cancel_ms >= old.noun.cancel_ms and record.stop >= old.noun.stop
            need(kept, "I-f", f"the stop of {key} was overwritten by {msg.kind}")
        if record.cancel_ms or record.stop:
            world.stopped.add(keys.last(key))
    if record.state in TERMINAL and source not in TERMINAL:
        _terminal(world, key, record)


def _terminal(world: World, key: str, record: Job | Task) -> None:
    """How a record without fan-out may end, given what really happened to its attempts."""
    world.cover(f"{type(record).__name__.lower()} {record.state} ({record.reason})")
    parts = key.split("/")
    last = record.last[-1] if record.last else None
    natural = ""
    if last is not None:
        index = int(parts[2]) if len(parts) > 2 else 0
        natural = world.natural.get(keys.attempt(parts[1], index, last.n), "")
        if last.outcome in ("succeeded", "failed"):
            real = {"succeeded": "ok", "failed": "fail"}[last.outcome]
            need(natural == real, "I-b", f"{key} ended by an attempt that did not end so")
    need(record.state != "expired" or record.n == 0, "I-f", f"{key} expired after it started")
    if isinstance(record, Job) and record.tasks == 1 and record.cancel_ms:
        asked = "failed" if record.cancel_reason == "total_timeout" else "cancelled"
        by_itself = natural != "" and record.state == {"ok": "succeeded", "fail": "failed"}[natural]
        need(record.state == asked or by_itself, "I-f", f"{key} was stopped, ended {record.state}")


def _state(world: World) -> None:
    truth = world.store.truth
    of = truth.of
    attempts: dict[tuple[str, int], list[int]] = defaultdict(list)
    on_node: Counter[str] = Counter()
    for key, entry in of["attempt"].items():
        job_id, index, n = keys.attempt_parts(key)
        attempts[job_id, index].append(n)
        on_node[entry.noun.node] += 1
        for permit in entry.noun.permits:
            holder = truth.get(permit)
            held = holder is not None and holder.noun.attempt == key
            need(held, "I-d", f"{key} runs without {permit}")
    for key, entry in of["permit"].items():
        holder = truth.get(entry.noun.attempt)
        held = holder is not None and key in holder.noun.permits
        need(held, "I-d", f"{key} held by {entry.noun.attempt}, which does not hold it")
        need(int(keys.last(key)) < world.key_max, "I-d", f"{key} above its maximum")
    for node, held_slots in on_node.items():
        need(held_slots <= SLOTS, "I-k", f"{held_slots} attempts on {node}")
    tasks: dict[str, list[Any]] = defaultdict(list)
    for key, entry in of["task"].items():
        _, job_id, number = key.split("/")
        tasks[job_id].append(entry.noun)
        _running(key, entry.noun, attempts.pop((job_id, int(number)), []))
    for key, entry in of["job"].items():
        if entry.noun.tasks > 1:
            _fan_out(world, key, entry.noun, tasks.get(keys.last(key), []))
        else:
            _running(key, entry.noun, attempts.pop((keys.last(key), 0), []))
    need(not attempts, "I-h", f"attempts without record: {dict(attempts)}")


def _running(key: str, record: Job | Task, held: list[int]) -> None:
    need(len(held) <= 1, "I-b", f"{len(held)} attempts of {key} hold a fence")
    running = record.state == "running"
    if running != (held == [record.n]) or (held and not running):
        raise ViolationError("I-h", f"{key} is {record.state} #{record.n}, attempts {held}")


def _fan_out(world: World, key: str, job: Job, made: list[Task]) -> None:
    spec = world.spec_of[keys.last(key)]
    live = sum(task.state not in TERMINAL for task in made)
    good = sum(task.state == "succeeded" for task in made)
    cut = len(made) < spec.tasks or any(task.state == "cancelled" for task in made)
    need(live <= spec.parallelism, "I-e", f"{live} open tasks of {key}")
    if job.state not in TERMINAL or key in world.judged:
        return
    world.judged.add(key)  # its tasks may go before it does
    need(not live, "I-e", f"{key} {job.state} with {live} open tasks")
    if not job.started_ms:
        return
    whole = not cut and good >= spec.needed
    need((job.state == "succeeded") == whole, "I-e", f"{key} {job.state} with {good} good tasks")
    need(job.state != "cancelled" or job.cancel_ms > 0, "I-f", f"{key} cancelled unasked")
    if job.cancel_ms and cut:
        asked = {"total_timeout": "failed", "expired": "expired"}.get(
            job.cancel_reason, "cancelled"
        )
        need(job.state == asked, "I-f", f"{key} was stopped, ended {job.state}")
    if job.state == "expired":
        need(all(task.n == 0 for task in made), "I-f", f"{key} expired after a task started")
