"""What is said between a node and its history process, and what the backend does for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from actors.core.history import Batch, EndedJob, EndedTask, Position
from actors.model.event import Event

__all__ = [
    "CopyHistory",
    "DeleteJob",
    "EventsFound",
    "FindJob",
    "FoundJob",
    "HistoryPort",
    "HistoryQueries",
    "HistoryRecords",
    "HistoryWriting",
    "JobPage",
    "ListEvents",
    "ListJobs",
    "QueryResult",
    "ReadRange",
    "RunQuery",
    "Where",
    "Write",
]


class Where(msgspec.Struct, frozen=True, array_like=True):
    """How far is history? `revision` is the store's: a history beyond it is of another store."""

    revision: int


class Write(msgspec.Struct, frozen=True, array_like=True):
    """Store a batch; answered with the position of history then."""

    batch: Batch


class CopyHistory(msgspec.Struct, frozen=True, array_like=True):
    """Copy the history into a new directory; answered with None when it is there."""

    directory: str


class DeleteJob(msgspec.Struct, frozen=True, array_like=True):
    """Forget a job, its attempts and outputs; answered with whether it was there."""

    job_id: str


class FindJob(msgspec.Struct, frozen=True, array_like=True):
    """A job with its tasks from an index on; answered with a FoundJob, or None."""

    job_id: str
    task: int = 0


class FoundJob(msgspec.Struct, frozen=True, array_like=True):
    """A job as it was when it ended; tasks of a fan-out in their order, `more` behind them."""

    job: EndedJob
    tasks: tuple[EndedTask, ...] = ()
    more: bool = False


class ListJobs(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Jobs with ids from `oldest` on and below `before`, the newest first.

    Values of one filter are alternatives, filters must all hold. A label without a value is any.
    """

    before: str = ""
    oldest: str = ""
    limit: int = 100
    states: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    labels: dict[str, tuple[str | None, ...]] = {}
    since_ms: int = 0  # submitted
    until_ms: int = 0
    prefix: str = ""  # of the id
    part: str | None = None  # of a name, or the beginning of an id


class JobPage(msgspec.Struct, frozen=True, array_like=True):
    """Some jobs; `more` when there are others behind them."""

    jobs: tuple[EndedJob, ...]
    more: bool


class ReadRange(msgspec.Struct, frozen=True, array_like=True):
    """What is stored from a position on, for another node; answered with a Batch.

    It is empty when there is nothing behind that position.
    """

    after: Position


class EventsFound(msgspec.Struct, frozen=True, array_like=True):
    """Some events, `more` behind them; from the revision `oldest` on history has all."""

    events: tuple[Event, ...]
    oldest: int
    more: bool = False


class ListEvents(msgspec.Struct, frozen=True, array_like=True):
    """Events above (revision, k), the oldest first; `types` are globs (none: any)."""

    after: tuple[int, int]
    limit: int
    types: tuple[str, ...] = ()
    subject: str | None = None


class RunQuery(msgspec.Struct, frozen=True, array_like=True):
    """One SELECT of a user, with values for its `?` or `$name`."""

    sql: str
    parameters: list[Any] | dict[str, Any]
    timeout_s: float
    max_rows: int


class QueryResult(msgspec.Struct, frozen=True):
    """Columns with their types, and rows as JSON values; `truncated` when there were more."""

    columns: list[str]
    types: list[str]
    rows: list[list[Any]]
    truncated: bool


class HistoryPort(Protocol):
    """The node's end: a message goes to the history process, its answer comes as a message.

    `Stored` follows a `Where` or a `Write`, or `HistoryLost` when there is no answer.
    """

    def send(self, message: Where | Write) -> None:
        """Send, starting the process when there is none; never waits."""

    def read(
        self,
        message: ReadRange,
        answer: Callable[[Batch], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Have one of these called, later, with what is stored or why it can't be told."""


class HistoryWriting(Protocol):
    """What changes a history. Calls block."""

    def position(self, revision: int) -> Position:
        """Return how far history is; one beyond the store's revision is moved aside before."""

    def write(self, batch: Batch) -> Position:
        """Store a batch that begins where history ends, with its position, in one transaction.

        Any other batch changes nothing. Returns the position then. Raises ReadOnly.
        """

    def delete(self, job_id: str) -> bool:
        """Forget a job; return whether it was there. Raises ReadOnly."""

    def retain(self, now_ms: int) -> None:
        """Move old days to Parquet, and drop what is past the retention or the size."""

    def copy(self, directory: Path) -> None:
        """Copy the history into a new directory. Raises ReadOnly, StorageFailed."""

    def close(self) -> None:
        """Release the file."""


class HistoryRecords(Protocol):
    """What the doors look up. Calls block."""

    def find(self, query: FindJob) -> FoundJob | None:
        """Return a job."""

    def list(self, query: ListJobs) -> JobPage:
        """Return jobs, the newest first."""

    def events(self, query: ListEvents) -> EventsFound:
        """Return events, the oldest first."""

    def range(self, query: ReadRange) -> Batch:
        """Return what follows a position."""


class HistoryQueries(Protocol):
    """SQL of users. Calls block."""

    def run(self, query: RunQuery) -> QueryResult:
        """Run one SELECT. Raises InvalidInput, TooLarge, Unavailable (its time is over)."""
