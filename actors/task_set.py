"""The entity that advances one fanned-out job: makes its members, stops them, ends the job.

Each voter has one, and that of the job's home decides at once; the others do when the feed has
shown nothing of the fan-out for as long as their rank asks. It holds nothing that the state does
not: a census of the members, counted when it is activated and kept from the changes that the `Home`
of its node passes on.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from actors import addresses
from actors.consensus_replica import SubmitTxn
from actors.core.homes import Homes
from actors.core.store.txn import Committed
from actors.core.task_set import Census, advance
from actors.core.view import View
from actors.model import keys
from actors.model.job import Task
from actors.runtime import (
    After,
    Answered,
    Ask,
    Context,
    Effect,
    Effects,
    Failed,
    LoopActor,
    handles,
)

__all__ = ["Advance", "TaskSet"]

_RETRY_S = 1.0


class Advance(msgspec.Struct, frozen=True):
    """The job, or these members of it, have changed."""

    members: tuple[str, ...] = ()


class _Decide(msgspec.Struct, frozen=True):
    pass


class TaskSet(LoopActor):
    """One per open fanned-out job and node, at `/tasks/<job>`."""

    def __init__(self, view: View, job_id: str, homes: Homes) -> None:
        super().__init__()
        self._view = view
        self._homes = homes
        self._job_id = job_id
        self._members: dict[str, Task] = {}
        self._census = Census()
        self._deciding = False

    def on_start(self) -> Effects:
        """Count the members that exist."""
        for key, entry in self._view.scan(keys.tasks_of(self._job_id)):
            self._count(key, entry.noun)
        return self._in_turn()

    def _count(self, key: str, task: Task) -> None:
        self._census.moved(self._members.get(key), task)
        self._members[key] = task

    @handles(Advance)
    def advance(self, message: Advance, context: Context) -> Effects:
        """Take the changes in and decide, unless a decision is under way.

        The census may be older than the view: then it shows too many open members, or too few
        made ones, and the transaction conflicts or waits; never the other way round (T1).
        """
        for key in message.members:
            entry = self._view.get(key)
            if entry is not None:
                self._count(key, entry.noun)
        return self._in_turn()

    def _in_turn(self) -> Effects:
        """Decide as the home; else when nobody has for a while: each change begins it anew."""
        wait_ms = self._homes.wait_ms(keys.job(self._job_id))
        if wait_ms is None:
            return None
        return [After(wait_ms / 1000, _Decide(), key="turn")] if wait_ms else self._advance()

    @handles(_Decide)
    def decide(self, message: _Decide, context: Context) -> Effects:
        """The nodes before this one had their time."""
        return self._advance()

    def _advance(self) -> Iterator[Effect]:
        if self._deciding:
            return
        txn = advance(self._view, self._job_id, self.clock.now_ms(), self._census)
        if txn is not None:
            self._deciding = True
            yield Ask(addresses.REPLICA, SubmitTxn(txn), None, timeout_s=None)

    @handles(Answered)
    def answered(self, message: Answered, context: Context) -> Effects:
        """Committed or conflicting: the state has moved, decide from what it is.

        Who was faster is at work, if this is not the home: leave it the next decision too.
        """
        self._deciding = False
        return self._advance() if isinstance(message.value, Committed) else self._in_turn()

    @handles(Failed)
    def failed(self, message: Failed, context: Context) -> Effects:
        """Refused for now: again in a moment."""
        self._deciding = False
        return [After(_RETRY_S, Advance(), key="again")]
