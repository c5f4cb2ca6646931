"""The actors of the history process: one writes, one looks up, one runs queries of users.

Each has a thread and a connection of its own, so that a long query delays neither the rows nor a
look at one job. They are asked over the link; what can't be done is answered as an error.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from actors import limits
from actors.core.history import Batch, Position
from actors.core.history_port import (
    CopyHistory,
    DeleteJob,
    EventsFound,
    FindJob,
    FoundJob,
    HistoryQueries,
    HistoryRecords,
    HistoryWriting,
    JobPage,
    ListEvents,
    ListJobs,
    QueryResult,
    ReadRange,
    RunQuery,
    Where,
    Write,
)
from actors.errors import JobdError
from actors.runtime import After, Context, Effect, Effects, Fail, Reply, ThreadActor, handles

__all__ = [
    "MESSAGES",
    "NODE",
    "QUERIES",
    "READER",
    "WRITER",
    "HistoryReader",
    "HistoryWriter",
    "Queries",
]

_log: Final = logging.getLogger(__name__)
NODE: Final = "_history"  # its process on the link: a name that no client may take
QUERIES: Final = f"jobd://{NODE}/queries"
READER: Final = f"jobd://{NODE}/reader"
WRITER: Final = f"jobd://{NODE}/writer"
_RETAIN_EVERY_S: Final = 60.0


class _Retain(msgspec.Struct, frozen=True):
    pass


def _answer(context: Context, work: Callable[[], Any]) -> Effect:
    """Do what was asked; an error that is told apart goes back, anything else is a crash."""
    try:
        return Reply(context.reply, work())
    except JobdError as error:
        return Fail(context.reply, error)


class HistoryWriter(ThreadActor):
    """The one that changes the history."""

    def __init__(self, store: HistoryWriting) -> None:
        super().__init__()
        self._store = store

    def on_start(self) -> Effects:
        """Begin the rounds of retention."""
        return [After(_RETAIN_EVERY_S, _Retain(), key="retain")]

    @handles(Where)
    def where(self, message: Where, context: Context) -> Effects:
        """Say how far history is."""
        return [_answer(context, lambda: self._store.position(message.revision))]

    @handles(Write)
    def write(self, message: Write, context: Context) -> Effects:
        """Store a batch, once; answered with the position then."""
        return [_answer(context, lambda: self._store.write(message.batch))]

    @handles(DeleteJob)
    def delete(self, message: DeleteJob, context: Context) -> Effects:
        """Forget a job; answered with whether it was there."""
        return [_answer(context, lambda: self._store.delete(message.job_id))]

    @handles(CopyHistory)
    def copy(self, message: CopyHistory, context: Context) -> Effects:
        """Copy what is stored now; nothing is stored meanwhile."""
        return [_answer(context, lambda: self._store.copy(Path(message.directory)))]

    @handles(_Retain)
    def retain(self, message: _Retain, context: Context) -> Effects:
        """Move what is old to Parquet, drop what is too old."""
        try:
            self._store.retain(self.clock.now_ms())
        except JobdError as error:
            _log.warning("%s", error)  # the next round does it
        return [After(_RETAIN_EVERY_S, _Retain(), key="retain")]

    def on_stop(self) -> None:
        """Close the file."""
        self._store.close()


class HistoryReader(ThreadActor):
    """Looks up jobs and events for the doors."""

    def __init__(self, records: HistoryRecords) -> None:
        super().__init__()
        self._records = records

    @handles(FindJob)
    def find(self, message: FindJob, context: Context) -> Effects:
        """Answer with one job, or None."""
        return [_answer(context, lambda: self._records.find(message))]

    @handles(ListJobs)
    def list(self, message: ListJobs, context: Context) -> Effects:
        """Answer with a page of jobs, the newest first."""
        return [_answer(context, lambda: self._records.list(message))]

    @handles(ListEvents)
    def events(self, message: ListEvents, context: Context) -> Effects:
        """Answer with a page of events, the oldest first."""
        return [_answer(context, lambda: self._records.events(message))]

    @handles(ReadRange)
    def range(self, message: ReadRange, context: Context) -> Effects:
        """Answer with what another node lacks."""
        return [_answer(context, lambda: self._records.range(message))]


class Queries(ThreadActor):
    """Runs what users ask in SQL, one query at a time."""

    mailbox_limit = limits.QUERIES_WAITING

    def __init__(self, queries: HistoryQueries) -> None:
        super().__init__()
        self._queries = queries

    @handles(RunQuery)
    def run(self, message: RunQuery, context: Context) -> Effects:
        """Answer with a QueryResult."""
        return [_answer(context, lambda: self._queries.run(message))]


MESSAGES: Final = (
    Batch,
    CopyHistory,
    DeleteJob,
    EventsFound,
    FindJob,
    FoundJob,
    JobPage,
    ListEvents,
    ListJobs,
    Position,
    QueryResult,
    ReadRange,
    RunQuery,
    Where,
    Write,
)
