"""An executor slot: it holds one attempt from its claim to the moment when nothing of it is left.

The slot compares what the store says of the attempt with what the job supervisor holds of it, at
every change of either, and does the next thing (R4): start, leave, kill, finish, report lost,
acknowledge. It keeps nothing that a restart would miss. Secrets are opened here, just before the
spawn, for the one message that brings them to the supervisor.

Order at the end of an attempt: exit record → finish transaction (beside it the log is archived)
→ the feed shows the attempt gone → acknowledged → the slot is free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, Literal

import msgspec

from actors import addresses
from actors.consensus_replica import SubmitTxn
from actors.core import job
from actors.core.launch import ending, large_output, late_ending, launch
from actors.core.store.txn import Committed
from actors.core.supervisor_protocol import Ack, ExitRecord, Held, Kill, Start
from actors.core.view import View
from actors.model import keys
from actors.model.spec import JobSpec
from actors.model.trace import SpanContext
from actors.run_log import Archive, Archived
from actors.runtime import (
    After,
    Answered,
    Ask,
    Context,
    Effect,
    Effects,
    Failed,
    LoopActor,
    Tell,
    handles,
)
from actors.supervisor_link import Follow, HeldNow, Unfollow

__all__ = ["Begin", "CutOff", "ExecutorSlot", "Look", "SlotFree"]

_RETRY_S = 1.0


class Begin(msgspec.Struct, frozen=True):
    """Hold this attempt (claimed just now, or found in the state after a restart)."""

    attempt: str
    fence: int


class Look(msgspec.Struct, frozen=True):
    """The attempt, or its job or task, has changed in the state."""

    system_lane: ClassVar[bool] = True


class CutOff(msgspec.Struct, frozen=True):
    """Whether this node has heard no majority of the voters for long: it must start nothing."""

    system_lane: ClassVar[bool] = True
    is_cut_off: bool


class SlotFree(msgspec.Struct, frozen=True):
    """To the scheduler: nothing of the attempt is left."""

    slot: int
    attempt: str


class _Finish(msgspec.Struct, frozen=True):
    attempt: str


class _Archive(msgspec.Struct, frozen=True):
    attempt: str


class _Late(msgspec.Struct, frozen=True):
    attempt: str


class ExecutorSlot(LoopActor):
    """One per slot of the node."""

    def __init__(
        self,
        view: View,
        *,
        index: int,
        node: str,
        name: str,
        open_secret: Callable[[str], str],
    ) -> None:
        super().__init__()
        self._name = name
        self._is_cut_off = False
        self._view = view
        self._open_secret = open_secret
        self._index = index
        self._node = node
        self._clear()

    def _clear(self) -> None:
        self.attempt = ""
        self._fence = 0
        self._spec: JobSpec | None = None
        self._held: Held | None = None
        self._instance = ""  # of the supervisor; empty until its mirror is complete
        self._link = 0
        self._masks = False
        self._finishing = False
        self._late: Literal["", "telling", "told"] = ""
        self._archived: Archived | None = None
        self._archiving = False
        self._sent = ""

    @handles(Begin)
    def begin(self, message: Begin, context: Context) -> Effects:
        """Take an attempt; a repeated message changes nothing."""
        if self.attempt == message.attempt:
            return None
        assert not self.attempt, "a slot holds one attempt at a time (I-k)"
        self.attempt, self._fence = message.attempt, message.fence
        job_id, _, _ = keys.attempt_parts(message.attempt)
        entry = self._view.get(keys.spec(job_id))
        assert entry is not None, "an attempt has its spec (I-h)"
        self._spec = entry.noun
        return [Tell(addresses.SUPERVISOR, Follow(message.attempt))]

    @handles(HeldNow)
    def held_now(self, message: HeldNow, context: Context) -> Effects:
        """Take what the supervisor holds; on a new link what it still lacks is sent again."""
        if message.attempt != self.attempt:
            return None
        if message.link != self._link:
            self._sent = ""
        self._held, self._instance, self._link = message.held, message.instance, message.link
        self._masks = message.masks
        return self._act()

    @handles(Look)
    def look(self, message: Look, context: Context) -> Effects:
        """Compare anew."""
        return self._act()

    @handles(CutOff)
    def cut_off(self, message: CutOff, context: Context) -> Effects:
        """Compare anew under what is known of the others now."""
        self._is_cut_off = message.is_cut_off
        return self._act()

    # -- comparing store and supervisor

    def _act(self) -> Iterator[Effect]:
        if not self.attempt or not self._instance:
            return
        if self._exit is not None and not self._archiving and self._archived is None:
            yield from self._archive()
        if self._awaits_artifact:
            return
        held = self._seen()
        action = job.slot_action(
            self._view,
            self.attempt,
            held,
            self._instance,
            now_ms=self.clock.now_ms(),
            is_cut_off=self._is_cut_off,
        )
        match action:
            case job.Start():
                yield from self._start()
            case job.Kill(reason=reason):
                yield from self._kill(reason)
            case job.Finish(ending=ending):
                yield from self._end(ending)
            case job.ReportLost():
                yield from self._end(None)
            case job.Ack():
                yield from self._tell_late_result()
                if self._late != "telling":
                    yield from self._release()
            case job.Leave():
                if held is None and self._view.get(self.attempt) is None:
                    yield from self._release()

    @property
    def _exit(self) -> ExitRecord | None:
        return self._held.exit if self._held is not None else None

    @property
    def _awaits_artifact(self) -> bool:
        """A large output becomes an artifact before the record that names it."""
        return large_output(self._exit) is not None and self._archived is None

    def _seen(self) -> job.Held | None:
        if self._held is None:
            return None
        exit_, spec = self._exit, self._spec
        assert spec is not None, "Begin brought the spec"
        large = self._archived.output if self._archived is not None else None
        end = ending(exit_, spec, large) if exit_ is not None else None
        return job.Held(self._held.state, end)

    def _start(self) -> Iterator[Effect]:
        """Hand the attempt over, once for each link: a repeat would be known there anyway."""
        if self._sent == "start":
            return
        self._sent = "start"
        assert self._spec is not None, "Begin brought the spec"
        job_id, index, n = keys.attempt_parts(self.attempt)
        entry = self._view.get(keys.job(job_id))
        what = launch(
            self._spec,
            self._open_secret,
            masks=self._masks,
            job_id=job_id,
            task_index=index,
            n=n,
            fence=self._fence,
            node=self._name,
            trace=self._span(job_id),
            run=entry.noun.run if entry is not None else "",
            step=entry.noun.step if entry is not None else "",
        )
        yield Tell(addresses.SUPERVISOR, Start(self.attempt, self._fence, what))

    def _span(self, job_id: str) -> SpanContext:
        entry = self._view.get(keys.job(job_id))
        trace = entry.noun.trace if entry is not None else ""
        return job.attempt_span(job.job_span(job_id, trace), self.attempt)

    def _kill(self, reason: str) -> Iterator[Effect]:
        if self._sent == "kill":
            return
        self._sent = "kill"
        assert self._spec is not None, "Begin brought the spec"
        yield Tell(addresses.SUPERVISOR, Kill(self.attempt, reason, self._spec.kill_grace_ms))

    # -- the end

    def _archive(self) -> Iterator[Effect]:
        """Have the log moved out of the spool, and a large output with it; often there is none."""
        if self._exit is not None and not self._exit.log_seq and not self._exit.output_path:
            self._archived = Archived(self.attempt, None)
            return
        self._archiving = True
        assert self._spec is not None, "Begin brought the spec"
        archive = Archive(self.attempt, large_output(self._exit), self._spec.output_schema)
        yield Ask(addresses.RUN_LOG, archive, _Archive(self.attempt), timeout_s=None)

    def _end(self, ending_: job.Ending | None) -> Iterator[Effect]:
        """Submit the end of the attempt; without an ending it is lost with its supervisor."""
        if self._finishing:
            return
        now_ms, rand = self.clock.now_ms(), self.rng.random()
        if ending_ is not None:
            txn = job.finish(self._view, self.attempt, ending_, now_ms=now_ms, rand=rand)
        else:
            txn = job.lost_by_own_node(self._view, self.attempt, now_ms=now_ms, rand=rand)
        if txn is not None:
            self._finishing = True
            yield Ask(addresses.REPLICA, SubmitTxn(txn), _Finish(self.attempt), timeout_s=None)

    def _tell_late_result(self) -> Iterator[Effect]:
        """Record what came of an attempt that the others had given up."""
        late = late_ending(self._exit)
        if late is None or self._late:
            return
        txn = job.superseded(
            self._view, self.attempt, late, node=self._node, now_ms=self.clock.now_ms()
        )
        if txn is not None:
            self._late = "telling"
            yield Ask(addresses.REPLICA, SubmitTxn(txn), _Late(self.attempt), timeout_s=None)

    def _release(self) -> Iterator[Effect]:
        """The store shows the attempt gone and nothing runs: let the supervisor forget it."""
        if self._held is not None and self._archived is None:  # what is unknown there has no log
            if self._archiving:
                return
            yield from self._archive()
            if self._archived is None:
                return
        attempt = self.attempt
        if self._held is not None:
            yield Tell(addresses.SUPERVISOR, Ack(attempt))
        yield Tell(addresses.SUPERVISOR, Unfollow(attempt))
        yield Tell(addresses.SCHEDULER, SlotFree(self._index, attempt))
        self._clear()

    @handles(Answered)
    def answered(self, message: Answered, context: Context) -> Iterator[Effect]:
        """Go on after the archive or the finish transaction."""
        assert isinstance(message.tag, _Archive | _Finish | _Late), "a slot asks for these"
        if message.tag.attempt != self.attempt:
            return
        match message.tag:
            case _Archive():
                self._archived = message.value
            case _Finish() if not isinstance(message.value, Committed):
                self._finishing = False  # the state moved on: decide again from what it is now
            case _Late():
                self._late = "told" if isinstance(message.value, Committed) else ""
        yield from self._act()

    @handles(Failed)
    def failed(self, message: Failed, context: Context) -> Effects:
        """Refused for now (the disk is full): again in a moment."""
        assert isinstance(message.tag, _Archive | _Finish | _Late), "a slot asks for these"
        if message.tag.attempt != self.attempt:
            return None
        match message.tag:
            case _Archive():
                self._archiving = False
            case _Finish():
                self._finishing = False
            case _Late():
                self._late = ""
        return [After(_RETRY_S, Look(), key="look")]
