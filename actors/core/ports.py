"""Ports: what the core and the actors need of the outside. Backends implement them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol, Self

import msgspec

from actors.core.log_record import LogRecord
from actors.core.supervisor_protocol import NodeFrame
from actors.model.event import Event

__all__ = [
    "ArtifactStore",
    "DiskUsage",
    "EventLog",
    "EventPage",
    "JobLogStore",
    "LogEntry",
    "LogPage",
    "LogStore",
    "Row",
    "StateStore",
    "StoredState",
    "SupervisorPort",
]


class LogEntry(msgspec.Struct, frozen=True):
    """One record of the consensus log. `index` is dense and starts at 1."""

    index: int
    kind: int
    payload: bytes


class LogStore(Protocol):
    """The durable log: the only thing that fsyncs on the hot path. One writer thread."""

    def replay(self, after: int) -> Iterator[LogEntry]:
        """Yield the entries above an index, checked. Raises Corrupt; never yields a bad record."""

    def append(self, entries: list[LogEntry]) -> None:
        """Write entries in one go and make them durable (fdatasync) before returning.

        Raises ReadOnly when there is no room, with nothing written; StorageFailed when a write or
        an fsync failed, after which the log must not be used.
        """

    @property
    def last_index(self) -> int:
        """Index of the last durable entry, 0 when there is none."""

    def truncate_before(self, index: int) -> None:
        """Drop whole segments that hold only entries below this index."""

    def close(self) -> None:
        """Release the files."""


class Row(NamedTuple):
    """A key's place in the image: the value is None for a deleted key."""

    key: str
    revision: int
    value: bytes | None


class StoredState(NamedTuple):
    """What the image on disk holds: the state at `revision`.

    It makes the log's records up to `applied_index` unnecessary. `sessions` (the session tables)
    and `position` (what consensus knows beside its log) are opaque to the store.
    """

    applied_index: int
    revision: int
    sessions: bytes
    rows: Iterator[Row]
    position: bytes = b""


class StateStore(Protocol):
    """The image of the applied state, written behind; a prefix of the history at every moment."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or create. Raises Corrupt, DataDirectory, ReadOnly."""

    def load(self) -> StoredState:
        """Return the image. Raises Corrupt when a row or the whole fails its digest."""

    def write(
        self,
        rows: Iterable[Row],
        *,
        applied_index: int,
        revision: int,
        sessions: bytes,
        position: bytes,
    ) -> None:
        """Write rows and the watermark in one atomic batch, not yet durable. Raises ReadOnly."""

    def flush(self) -> None:
        """Return when everything written survives a power loss."""

    def get(self, key: str) -> Row | None:
        """Return one row, checked. Raises Corrupt."""

    def scan(self, start: str, end: str | None = None, *, limit: int | None = None) -> list[Row]:
        """Return rows of [start, end) in key order."""

    def checkpoint(self, dest: Path) -> None:
        """Write a consistent copy that opens as a store of the same engine."""

    def digest(self) -> str:
        """Return a digest of revision and rows, equal in every engine for the same content."""

    def stats(self) -> dict[str, int]:
        """Return `keys`, `bytes` and what else the engine tells."""

    def close(self) -> None:
        """Release the files."""


class EventPage(NamedTuple):
    """Events after a cursor; `gap` when some between were dropped by retention.

    A page that is not full has all up to the place `upto`, where the bus gives it.
    """

    events: tuple[Event, ...]
    gap: bool
    upto: tuple[int, int] = (0, 0)


class EventLog(Protocol):
    """The local log of events, derived from commits and therefore the same on every node."""

    @property
    def last_revision(self) -> int:
        """Revision of the last event, 0 when there is none."""

    @property
    def last(self) -> tuple[int, int]:
        """(revision, k) of the last event, (0, 0) when there is none."""

    @property
    def floor(self) -> tuple[int, int]:
        """(revision, k) below which events were dropped; (0, 0) while nothing was."""

    def append(self, events: list[Event]) -> None:
        """Add events, not yet durable; those at or below `last_revision` are ignored."""

    def read(
        self,
        after: tuple[int, int],
        limit: int,
        types: tuple[str, ...] = (),
        subject: str | None = None,
    ) -> list[Event]:
        """Return events above (revision, k) whose type matches one of the globs."""

    def flush(self) -> None:
        """Return when everything appended survives a power loss."""

    def prune(self, now_ms: int) -> None:
        """Drop the oldest segments past the limits of age and size."""

    def checkpoint(self, dest: Path) -> None:
        """Write a copy of what was appended, that opens as an event log."""

    def close(self) -> None:
        """Release the files."""


class LogPage(NamedTuple):
    """Lines of one attempt's log in order.

    `next_seq` is where to go on; with `end` there will never be more. `gaps` are ranges [from, to)
    of sequence numbers that can't be read any more.
    """

    records: list[LogRecord]
    next_seq: int
    end: bool
    gaps: list[tuple[int, int]]


class DiskUsage(NamedTuple):
    """A file system as `df` counts it: bytes in use, and in use or free for this user."""

    used: int
    total: int


class SupervisorPort(Protocol):
    """The node's end of the link to its job supervisor. What arrives comes as messages."""

    def open(self) -> None:
        """Begin to connect, starting a supervisor where none serves; `Welcome` follows.

        Tried again by itself until it succeeds or the port is closed.
        """

    def send(self, frame: NodeFrame) -> None:
        """Queue a frame; without a link it is dropped, and the next `Listing` tells what is so."""


class JobLogStore(Protocol):
    """Job logs on this node's disk: live in the spool, then in the archive. Calls block.

    What changes them raises ReadOnly or StorageFailed when the disk refuses; again is safe.
    """

    def read(
        self, attempt_key: str, from_seq: int = 0, limit: int = 1000, stream: int | None = None
    ) -> LogPage:
        """Return records of an attempt from `from_seq` on, with the gaps between."""

    def archive(self, attempt_key: str) -> None:
        """Move a finished attempt's records out of the spool."""

    def delete(self, job_id: str) -> None:
        """Forget a job's records."""

    def prune(self, now_ms: int, keep_s: int, keep_bytes: int) -> int:
        """Drop the oldest logs past these limits; return how many went."""

    def shrink(self, needed_bytes: int) -> int:
        """Drop the oldest logs until this much is freed, or none is left; return how many went."""

    def close(self) -> None:
        """Release the files."""


class ArtifactStore(Protocol):
    """Outputs too large for a record, one for each task of a job. Calls block.

    What changes them raises ReadOnly or StorageFailed when the disk refuses; again is safe.
    """

    def take(self, job_id: str, task: int, path: Path) -> str:
        """Move a task's output in and return its sha256 in hex.

        A repeat finds it moved already. Raises NotFound when it is in neither place.
        """

    def read(self, job_id: str, task: int) -> bytes:
        """Return what was taken."""

    def path(self, job_id: str, task: int) -> Path | None:
        """Return the file, or None."""

    def delete(self, job_id: str) -> None:
        """Forget all outputs of a job; an unknown job is no error."""

    def prune(self, now_ms: int, keep_s: int, keep_bytes: int) -> int:
        """Drop the oldest jobs' outputs past these limits; return of how many jobs.

        Those of jobs that the store may still have are kept, whatever their size.
        """
