"""The actor that writes the image of the applied state, behind the log.

Order: the events of a range of commits, durable, then their rows with the watermark. Recovery
derives again only the events of the records behind the watermark, and a power loss may keep rows
that were never synced: events that were not durable before them would be lost. A checkpoint makes
the rows durable too and only then lets the log drop what they cover, so at every moment image + log
(and event log + log) hold everything that was acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

import msgspec

from actors import addresses
from actors.core.consensus.group import Imaged
from actors.core.ports import EventLog, EventPage, Row, StateStore
from actors.errors import JobdError, ReadOnly, StorageFailed
from actors.log_writer import Truncate
from actors.model.event import Event
from actors.runtime import (
    After,
    Context,
    Effect,
    Effects,
    Fail,
    Reply,
    Tell,
    ThreadActor,
    handles,
)

__all__ = [
    "CopyImage",
    "EventsWritten",
    "ImageCopied",
    "ImageWriter",
    "ImageWritten",
    "ReadEvents",
    "WriteImage",
]

_CHECKPOINT_EVERY_S: Final = 10.0
_PRUNE_EVERY_S: Final = 60.0


class _Mark(NamedTuple):
    """Where the image stands."""

    applied_index: int
    revision: int
    position: bytes
    executed: int


class WriteImage(msgspec.Struct, frozen=True):
    """Rows and events of the commits up to `revision`; `executed` commands made them.

    With them the image makes the log unnecessary up to `applied_index`; `position` is what it must
    say of consensus beside them.
    """

    system_lane: ClassVar[bool] = True  # reads of events may fill the mailbox
    rows: tuple[Row, ...]
    events: tuple[Event, ...]
    applied_index: int
    revision: int
    sessions: bytes
    position: bytes = b""
    executed: int = 0

    @property
    def mark(self) -> _Mark:
        """What a checkpoint makes durable."""
        return _Mark(self.applied_index, self.revision, self.position, self.executed)


class ImageWritten(msgspec.Struct, frozen=True):
    """The answer: written, or why not (the replica keeps the rows and tries again)."""

    system_lane: ClassVar[bool] = True  # submits may fill the mailbox
    applied_index: int
    error: JobdError | None = None


class EventsWritten(msgspec.Struct, frozen=True):
    """To the event bus: the event log has what was committed up to a revision."""

    system_lane: ClassVar[bool] = True
    revision: int


class ReadEvents(msgspec.Struct, frozen=True):
    """Read the event log after (revision, k); answered with an EventPage."""

    after: tuple[int, int]
    limit: int
    types: tuple[str, ...] = ()
    subject: str | None = None


class CopyImage(msgspec.Struct, frozen=True):
    """Copy the image and the event log, both of one revision; answered with ImageCopied."""

    state: str  # the path of the new store
    events: str = ""  # of the new event log; "" copies none


class ImageCopied(msgspec.Struct, frozen=True):
    """What a copy of the image holds; `digest` is the store's.

    `last_event` is (revision, k) of the last event up to it, (0, 0) when there was none.
    """

    applied_index: int
    revision: int
    digest: str
    last_event: tuple[int, int] = (0, 0)


class _Checkpoint(msgspec.Struct, frozen=True):
    pass


class _Prune(msgspec.Struct, frozen=True):
    pass


class ImageWriter(ThreadActor):
    """Owns the state store and the event log of a node; `fatal` stops the node when they fail.

    An image in memory has no checkpoints: the log then keeps everything.
    """

    def __init__(
        self,
        store: StateStore,
        events: EventLog,
        *,
        applied_index: int,
        fatal: Callable[[StorageFailed], None],
        checkpoints: bool = True,
    ) -> None:
        super().__init__()
        self._fatal = fatal
        self._checkpoints = checkpoints
        self._store = store
        self._events = events
        self._written = self._durable = _Mark(applied_index, -1, b"", 0)

    def on_start(self) -> Iterator[Effect]:
        """Begin the rounds of checkpoints and retention."""
        yield After(_PRUNE_EVERY_S, _Prune(), key="prune")
        if self._checkpoints:
            yield After(_CHECKPOINT_EVERY_S, _Checkpoint(), key="checkpoint")

    @handles(WriteImage)
    def write(self, message: WriteImage, context: Context) -> Iterator[Effect]:
        """Write a range of commits: events first."""
        assert context.sender is not None, "only the replica writes the image"
        refused = self._refusal(partial(self._write, message))
        if refused is None:
            self._written = message.mark
            yield Tell(addresses.EVENT_BUS, EventsWritten(message.revision))
        yield Tell(context.sender, ImageWritten(message.applied_index, refused))

    def _write(self, message: WriteImage) -> None:
        self._events.append(list(message.events))
        self._events.flush()
        self._store.write(
            message.rows,
            applied_index=message.applied_index,
            revision=message.revision,
            sessions=message.sessions,
            position=message.position,
        )

    def _refusal(self, work: Callable[[], None]) -> JobdError | None:
        """Do work on the disk; return why it was not done. A failed disk stops the node."""
        try:
            work()
        except ReadOnly as error:
            return error
        except StorageFailed as error:
            self._fatal(error)
            return error
        return None

    @handles(_Checkpoint)
    def checkpoint(self, message: _Checkpoint, context: Context) -> Iterator[Effect]:
        """Make the image durable, then let the log and the other nodes drop what it covers."""
        yield After(_CHECKPOINT_EVERY_S, _Checkpoint(), key="checkpoint")
        if self._written == self._durable:
            return
        if self._refusal(self._flush) is None:  # else the log keeps everything
            yield Tell(addresses.LOG, Truncate(self._durable.applied_index + 1))
            if self._durable.executed:
                yield Tell(addresses.REPLICA, Imaged(self._durable.executed))

    def _flush(self) -> None:
        written = self._written
        self._events.flush()
        self._store.flush()
        self._durable = written

    @handles(CopyImage)
    def copy(self, message: CopyImage, context: Context) -> Effects:
        """Copy what is written; the copy's trouble is the asker's, not the node's."""
        assert context.reply is not None, "CopyImage is an ask"
        try:
            self._store.checkpoint(Path(message.state))
            if message.events:
                self._events.checkpoint(Path(message.events))
        except JobdError as error:
            return [Fail(context.reply, error)]
        revision = self._store.load().revision
        index, digest = self._written.applied_index, self._store.digest()
        copied = ImageCopied(index, revision, digest, self._events.last)
        return [Reply(context.reply, copied)]

    @handles(_Prune)
    def prune(self, message: _Prune, context: Context) -> Effects:
        """Drop events past their age or size."""
        self._refusal(partial(self._events.prune, self.clock.now_ms()))
        return [After(_PRUNE_EVERY_S, _Prune(), key="prune")]

    @handles(ReadEvents)
    def read_events(self, message: ReadEvents, context: Context) -> Effects:
        """Answer from the event log on disk, saying when the cursor is below its floor."""
        assert context.reply is not None, "ReadEvents is an ask"
        try:
            found = self._events.read(
                message.after, message.limit, types=message.types, subject=message.subject
            )
        except JobdError as error:  # damaged: who reads is told, the node goes on
            return [Fail(context.reply, error)]
        gap = message.after < self._events.floor
        return [Reply(context.reply, EventPage(tuple(found), gap))]

    def on_stop(self) -> None:
        """Make what was written durable and release the files."""
        try:
            self._flush()
        except ReadOnly:
            pass  # the log still holds it
        finally:
            self._events.close()
            self._store.close()
