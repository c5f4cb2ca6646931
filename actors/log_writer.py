"""The actor that owns the consensus log: the only one that fsyncs on the hot path."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from actors.core.consensus.group import NotSynced, Synced
from actors.core.ports import LogEntry, LogStore
from actors.errors import ReadOnly, StorageFailed
from actors.runtime import Context, Effects, Tell, ThreadActor, handles

__all__ = ["Append", "LogWriter", "Truncate"]


class Append(msgspec.Struct, frozen=True):
    """Write these records and make them durable; answered with Synced or NotSynced."""

    entries: tuple[LogEntry, ...]


class Truncate(msgspec.Struct, frozen=True):
    """Entries below this index are in a durable image; their segments may go."""

    before: int


class LogWriter(ThreadActor):
    """Appends in a thread of its own. A failed fsync is final: `fatal` stops the node."""

    def __init__(
        self,
        log: LogStore,
        *,
        fatal: Callable[[StorageFailed], None],
        observe_fsync: Callable[[float], None],
    ) -> None:
        super().__init__()
        self._log = log
        self._fatal = fatal
        self._observe = observe_fsync

    @handles(Append)
    def append(self, message: Append, context: Context) -> Effects:
        """Make the records durable, then tell the replica how far the log reaches."""
        assert context.sender is not None, "only the replica appends"
        last = message.entries[-1].index
        began = time.monotonic()
        try:
            self._log.append(list(message.entries))
        except ReadOnly as error:
            return [Tell(context.sender, NotSynced(last - 1, error))]
        except StorageFailed as error:
            # What reached the disk is unknown, and a later fsync would not tell. No answer:
            # nothing that waits for this record may ever be acknowledged by this process.
            self._fatal(error)
            return None
        self._observe(time.monotonic() - began)
        return [Tell(context.sender, Synced(last))]

    @handles(Truncate)
    def truncate(self, message: Truncate, context: Context) -> Effects:
        """Drop the segments that the image has made unnecessary."""
        self._log.truncate_before(message.before)
        return None

    def on_stop(self) -> None:
        """Release the files."""
        self._log.close()
