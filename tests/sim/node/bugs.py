# ruff: noqa: T201 -- a program: it prints its findings
"""Planted bugs: each takes one duty away from the product, and an invariant sees it.

None is a branch of the product: a bug is a patch of a method, for the time of a run.

python -m tests.sim.node.bugs --seeds 300        # the first seed that sees each
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest import mock

import msgspec

from actors import addresses
from actors.backends.segment_log import SegmentLog
from actors.core.attempt_registry import AttemptRegistry, Register, Spawn
from actors.core.consensus.records import BATCH
from actors.core.consensus.solo import Solo
from actors.core.job import accept, finish
from actors.core.supervisor_protocol import Ack, Start
from actors.executor_slot import ExecutorSlot
from actors.home import Home
from actors.image_writer import ImageWriter
from actors.node_agent import NodeAgent
from actors.runtime import Tell
from actors.scheduler import Scheduler
from actors.supervisor_link import Discard
from tests.sim.node import disk
from tests.sim.node.simulation import run_seed

__all__ = ["BUGS", "Bug", "hunt", "planted"]


class Bug(NamedTuple):
    """`owner.method` becomes `plant(original)`."""

    name: str
    what: str
    owner: Any
    method: str
    plant: Any
    first: int = 0  # to look at: earlier ones do not see it


def _ack_before_sync(real: Any) -> Any:
    def sync(self: Any) -> None:
        if not self._path.startswith("log"):
            real(self)

    return sync


def _apply_before_sync(real: Any) -> Any:
    def run(self: Solo) -> Iterator[Any]:
        self._journal.behind = lambda action: action()  # type: ignore[method-assign]
        yield from real(self)
        yield from real(self)

    return run


def _any_peer(real: Any) -> Any:
    def receive(self: AttemptRegistry, peer: int, frame: Any, now_ms: int) -> Any:
        owner, self._owner = self._owner, peer
        effects = real(self, peer, frame, now_ms)
        if type(frame).__name__ != "Hello":
            self._owner = owner
        return effects

    return receive


def _reservation_dropped(real: Any) -> Any:
    def decided(self: Scheduler, entity: str, result: Any) -> Any:
        self._give_back(entity)
        return real(self, entity, result)

    return decided


def _ack_early(real: Any) -> Any:
    def end(self: ExecutorSlot, ending: Any) -> Iterator[Any]:
        yield from real(self, ending)
        if ending is not None:
            yield Tell(addresses.SUPERVISOR, Ack(self.attempt))

    return end


def _watermark_ahead(real: Any) -> Any:
    def write(self: ImageWriter, message: Any) -> None:
        late, self.__dict__["late"] = self.__dict__.get("late", ()), message.rows
        real(self, msgspec.structs.replace(message, rows=late))

    return write


def _rows_before_events(real: Any) -> Any:
    def write(self: ImageWriter, message: Any) -> None:
        with mock.patch.object(self._events, "flush", lambda: None):
            real(self, message)

    return write


def _truncate_early(real: Any) -> Any:
    def flush(self: ImageWriter) -> None:
        self._durable = self._written

    return flush


def _log_forgotten(real: Any) -> Any:
    return lambda self, held, *, tells: Tell(addresses.SUPERVISOR, Discard(held.attempt))


def _start_twice(real: Any) -> Any:
    def start(self: AttemptRegistry, peer: int, frame: Start) -> Any:
        if frame.attempt in self._held:
            return [Register(frame.attempt, frame.fence), Spawn(frame.attempt, frame.launch)]
        return real(self, peer, frame)

    return start


def _permits_kept(real: Any) -> Any:
    def end(*args: Any, **times: Any) -> Any:
        txn = real(*args, **times)
        if txn is None:
            return None
        kept = tuple(op for op in txn.ops if not op[0].startswith("permit/"))
        return msgspec.structs.replace(txn, ops=kept)

    return end


def _key_not_kept(real: Any) -> Any:
    def idempotent(*args: Any) -> Any:
        check, (key, value) = real(*args)
        return check, (f"{key}-other", value)

    return idempotent


def _cancel_forgotten(real: Any) -> Any:
    def after(work: Any, summary: Any, **times: Any) -> Any:
        unasked = msgspec.structs.replace(work.job, cancel_ms=0, stop=False)
        return real(work._replace(job=unasked), summary, **times)

    return after


def _tasks_missed(real: Any) -> Any:
    def changed(self: Scheduler, change: Any) -> Iterator[Any]:
        if not change.key.startswith("task/"):
            yield from real(self, change)

    return changed


def _timers_missed(real: Any) -> Any:
    def take(self: Home, key: str) -> None:
        real(self, key)
        if key.startswith("job/"):
            self._turns.changed(key, None)

    return take


def _answered_though_full(real: Any) -> Any:
    def not_synced(self: Solo) -> Any:
        batch = self._flight
        if batch is None:
            return real(self)
        self._journal.give_back(BATCH)
        self._is_durable(batch)
        return []

    return not_synced


def _not_settled(real: Any) -> Any:
    return lambda self, found: None


_accepting = sys.modules[accept.__module__]
_finishing = sys.modules[finish.__module__]
_ALL = (
    Bug("ack_before_sync", "the log acknowledges without fsync", disk.SimFile, "sync",
        _ack_before_sync),
    Bug("apply_before_sync", "the group applies what is not durable", Solo, "run",
        _apply_before_sync),
    Bug("answered_though_full", "what the full disk refused is applied", Solo, "not_synced",
        _answered_though_full, first=11),
    Bug("not_settled", "recovery serves what an earlier process left unsynced", SegmentLog,
        "_settle", _not_settled, first=63),
    Bug("watermark_ahead", "the image's watermark is ahead of its rows", ImageWriter, "_write",
        _watermark_ahead),
    Bug("rows_before_events", "rows may be durable before their events", ImageWriter, "_write",
        _rows_before_events),
    Bug("truncate_early", "the log is truncated before the image is durable", ImageWriter,
        "_flush", _truncate_early, first=41),
    Bug("any_peer", "the supervisor takes frames of an earlier node process", AttemptRegistry,
        "receive", _any_peer, first=63),
    Bug("start_twice", "the supervisor does not know a repeated start", AttemptRegistry, "_start",
        _start_twice),
    Bug("ack_early", "ack to the supervisor before the feed shows the finish", ExecutorSlot,
        "_end", _ack_early),
    Bug("log_forgotten", "what the store has ended is forgotten before its log is kept", NodeAgent,
        "_discard", _log_forgotten, first=112),
    Bug("reservation_dropped", "a claim's slot is free before the feed shows it", Scheduler,
        "decided", _reservation_dropped),
    Bug("tasks_missed", "the scheduler does not follow tasks", Scheduler, "changed",
        _tasks_missed),
    Bug("timers_missed", "the home sets no timer for jobs", Home, "_take", _timers_missed),
    Bug("permits_kept", "the end of an attempt keeps its permits", _finishing, "_end",
        _permits_kept),
    Bug("cancel_forgotten", "retry and requeue ignore a cancel", _finishing, "after_attempt",
        _cancel_forgotten, first=25),
    Bug("key_not_kept", "an idempotency key is not kept", _accepting, "_idempotent",
        _key_not_kept),
)  # fmt: skip
BUGS = {bug.name: bug for bug in _ALL}


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """Have the product with a bug."""
    with ExitStack() as stack:
        real = getattr(bug.owner, bug.method)
        stack.enter_context(mock.patch.object(bug.owner, bug.method, bug.plant(real)))
        yield


def hunt(bug: Bug, seeds: int) -> str:
    """Return the seed that sees a bug first, and how; or ""."""
    with planted(bug):
        for outcome in map(run_seed, range(bug.first, bug.first + seeds)):
            if outcome.letter:
                return f"seed {outcome.seed}: {outcome.text}"
    return ""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Hunt the planted bugs.")
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("names", nargs="*", default=list(BUGS), metavar="BUG")
    options = parser.parse_args(argv)
    missed = 0
    for name in options.names:
        seen = hunt(BUGS[name], options.seeds)
        missed += not seen
        print(f"{name:22} {seen[:160] or 'NOT SEEN'}", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
