"""Handlers of a job's log: pages of one attempt, and the live stream of a whole job.

The stream is one sequence with one cursor, `<task>.<attempt>.<seq>`: the attempts of a task in
their order, the tasks of a fan-out in theirs, each followed live until it is over. So it resumes
at any node after any id, and no line of one task ever stands between two of another.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, Literal, NamedTuple

import msgspec

from actors.core.log_record import (
    PARTIAL,
    STDERR,
    STDOUT,
    SUPERVISOR,
    TRUNCATED,
    LogRecord,
    line_count,
)
from actors.core.ports import LogPage
from actors.core.view import View
from actors.errors import InvalidInput, NodeUnreachable, NotFound
from actors.model import keys
from actors.model.job import TERMINAL
from jobd.api.call import HEARTBEAT_S, Call, Item, Items, Reply, Stream
from jobd.api.gateway import Gateway
from jobd.api.job_views import find_job, job_view, node_of_attempt, progress_of
from jobd.api.past_jobs import view_of
from jobd.api.query import Number, PageSize, ReadQuery, Since, TaskIndex, moment_or_ago
from jobd.api.route import SSE, Route
from jobd.api.stamp import Stamp, stamp

__all__ = ["ROUTES"]

PAGE_LINES: Final = 2_000
PACKED_BYTES: Final = 64 * 1024
_NAMES: Final = {SUPERVISOR: "jobd", STDOUT: "stdout", STDERR: "stderr"}
_PLACE: Final = re.compile(r"[0-9]{1,5}\.[0-9]{1,9}\.[0-9]{1,15}")
_STREAMS: Final = {name: stream for stream, name in _NAMES.items()}


class LogQuery(ReadQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Records of one attempt (the last one, without `attempt`) from the seq `from` on.

    `since` is a moment (RFC 3339) or how long ago (`10m`); older records are left out.
    """

    task: TaskIndex = 0
    attempt: Number | None = None
    from_: Number = msgspec.field(default=0, name="from")
    limit: PageSize = 100
    since: Since | None = None
    stream: Literal["stdout", "stderr", "jobd"] | None = None


class StreamQuery(ReadQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`task`: of a fan-out, only this one. `attempt`: from this one on; 0 is the last there is."""

    task: TaskIndex | None = None
    attempt: Number = 0
    since: Since | None = None
    stream: Literal["stdout", "stderr", "jobd"] | None = None


class LogLine(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Whole lines with their newlines, or a piece of one line (`partial`).

    Just one of `text` (UTF-8) and `base64` (any other bytes) is there. `seq` is the first line's;
    each line takes one. `truncated`: the job wrote more than is kept.
    """

    seq: int
    time: Stamp
    stream: str
    task: int
    attempt: int
    text: str | None = None
    base64: bytes | None = None
    partial: bool = False
    truncated: bool = False

    @property
    def data(self) -> bytes:
        """What the job wrote."""
        return (self.base64 or b"") if self.text is None else self.text.encode()


class LogPageView(msgspec.Struct, frozen=True):
    """`end`: the attempt writes nothing from `next_from` on; `gaps`: lost seqs, as [from, to)."""

    items: list[LogLine]
    next_from: int
    end: bool
    gaps: list[tuple[int, int]]


class Place(NamedTuple):
    """Where a stream stands: the next record to send."""

    task: int
    attempt: int
    seq: int

    @classmethod
    def parse(cls, text: str) -> Place:
        """Return the place behind an SSE id. Raises InvalidInput."""
        if not _PLACE.fullmatch(text):
            raise InvalidInput(f"{text[:64]!r} is no id of a job log")
        return cls(*map(int, text.split(".")))

    def __str__(self) -> str:
        return f"{self.task}.{self.attempt}.{self.seq}"


async def read_logs(call: Call[LogQuery, None]) -> Reply:
    """Return a page of an attempt's log."""
    job_id, query = call.path("id"), call.query
    view = await view_of(call.gateway, job_id)
    progress = progress_of(view, job_id, query.task)
    attempt = query.attempt if query.attempt is not None else progress.n if progress else 0
    if progress is None or not 0 <= attempt <= progress.n:
        raise NotFound(f"task {query.task} of job {job_id} has no attempt {query.attempt}")
    page = LogPage([], 0, progress.state in TERMINAL, [])
    if attempt:
        page = await call.gateway.read_log(
            job_id,
            query.task,
            attempt,
            query.from_,
            query.limit,
            _number(query.stream),
            node=node_of_attempt(view, job_id, query.task, attempt),
        )
    since_ms = moment_or_ago("since", query.since, call.clock())
    lines = [_line(query.task, attempt, r) for r in _packed(page.records) if r.time_ms >= since_ms]
    return Reply(LogPageView(lines, page.next_seq, page.end, page.gaps))


async def stream_logs(call: Call[StreamQuery, None]) -> Stream:
    """Follow a job's log until the job is over; then `end` with the job as it ended."""
    job_id, query = call.path("id"), call.query
    view = await view_of(call.gateway, job_id)
    job = find_job(view, job_id).noun
    since_ms = moment_or_ago("since", query.since, call.clock())
    tail = LogTail(call.gateway, view, job_id, _number(query.stream), since_ms)
    if call.last_event_id is not None:
        tail.place = Place.parse(call.last_event_id)
    else:
        tail.place = Place(query.task or 0, query.attempt, 0)
    tail.one_task = query.task is not None
    tail.last_task = query.task if query.task is not None else job.tasks - 1
    return Stream(_follow(call.gateway, view, job_id, tail))


async def _follow(gateway: Gateway, view: View, job_id: str, tail: LogTail) -> Items:
    async with gateway.log_wakeups(job_id) as wakeup:
        while True:
            wakeup.clear()
            async for items in tail.advance():
                yield items
            if tail.over:
                yield [_end(view, job_id)]
                return
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await wakeup.wait()
            except TimeoutError:
                yield []


class LogTail:
    """Walks a job's log from a place to its end, as far as it is written."""

    def __init__(
        self, gateway: Gateway, view: View, job_id: str, stream: int | None, since_ms: int
    ) -> None:
        self._gateway = gateway
        self._view = view
        self._job_id = job_id
        self._stream = stream
        self._since_ms = since_ms
        self.place = Place(0, 0, 0)
        self.last_task = 0
        self.one_task = False
        self.over = False
        self._told_of: tuple[int, int] | None = None  # the attempt that was told as unreachable

    async def advance(self) -> Items:
        """Yield items until all that is written has been told; sets `over` at the end.

        Whether an attempt is over is read before its page: what it wrote before it ended is in
        that page or in one after it.
        """
        while not self.over:
            progress = progress_of(self._view, self._job_id, self.place.task)
            if progress is None:
                self.over = self._is_final()
                return
            if self.place.attempt == 0:
                self.place = self.place._replace(attempt=progress.n)
            newest = self.place.attempt >= progress.n
            ended = not newest or progress.state != "running"
            before = self.place
            try:
                items = await self._page() if self.place.attempt else []
            except NodeUnreachable as error:
                items = self._unreachable(error)
            if items:
                yield items
            if self.place != before:
                continue
            if not ended:
                return
            elif not newest:
                self.place = Place(self.place.task, self.place.attempt + 1, 0)
            elif progress.state not in TERMINAL:
                return
            elif self.place.task < self.last_task:
                self.place = Place(self.place.task + 1, min(self.place.attempt, 1), 0)
            else:
                # A fan-out's own record ends by a later commit than its last task's.
                self.over = self.one_task or self._is_final()
                return

    def _unreachable(self, error: NodeUnreachable) -> list[Item]:
        """Tell once of an attempt whose node can't be reached, and from where its log is missing.

        One that has ended is passed by; for one that runs, the stream goes on once it can.
        """
        task, attempt, seq = self.place
        if self._told_of == (task, attempt):
            return []
        self._told_of = (task, attempt)
        what = {"task": task, "attempt": attempt, "from": seq, "node": error.node}
        return [Item("unreachable", what | {"message": error.message})]

    async def _page(self) -> list[Item]:
        task, attempt, seq = self.place
        node = node_of_attempt(self._view, self._job_id, task, attempt)
        page = await self._gateway.read_log(
            self._job_id, task, attempt, seq, PAGE_LINES, self._stream, node=node
        )
        self.place = Place(task, attempt, page.next_seq)
        items = [
            Item("gap", {"task": task, "attempt": attempt, "from": low, "to": high})
            for low, high in page.gaps
        ]
        for record in _packed(page.records):
            if record.time_ms >= self._since_ms:
                behind = Place(task, attempt, record.seq + line_count(record.data))
                line = _line(task, attempt, record)
                items.append(Item("log", line, str(behind)))
        return items

    def _is_final(self) -> bool:
        """A task that was never made is over when its job is, or when the job is gone."""
        entry = self._view.get(keys.job(self._job_id))
        return entry is None or entry.noun.state in TERMINAL


def _packed(records: list[LogRecord]) -> Iterator[LogRecord]:
    """Join lines that were read in one go: a record for each line would cost ten times as much."""
    packed: LogRecord | None = None
    parts: list[bytes] = []
    behind = size = 0
    for record in records:
        joins = (
            packed is not None
            and record.seq == behind
            and record[1:4] == packed[1:4]  # time, stream, flags
            and not record.flags
            and size + len(record.data) <= PACKED_BYTES
        )
        if not joins:
            if packed is not None:
                yield packed._replace(data=b"".join(parts))
            packed, parts, size = record, [], 0
        parts.append(record.data)
        size += len(record.data)
        behind = record.seq + line_count(record.data)
    if packed is not None:
        yield packed._replace(data=b"".join(parts))


def _end(view: View, job_id: str) -> Item:
    entry = view.get(keys.job(job_id))
    if entry is None:
        return Item("end", {"id": job_id, "state": "deleted"})
    return Item("end", job_view(view, job_id, entry))


def _number(stream: str | None) -> int | None:
    return None if stream is None else _STREAMS[stream]


def _line(task: int, attempt: int, record: LogRecord) -> LogLine:
    text = None
    with suppress(UnicodeDecodeError):
        text = record.data.decode()
    return LogLine(
        seq=record.seq,
        time=stamp(record.time_ms),
        stream=_NAMES[record.stream],
        task=task,
        attempt=attempt,
        text=text,
        base64=record.data if text is None else None,
        partial=bool(record.flags & PARTIAL),
        truncated=bool(record.flags & TRUNCATED),
    )


ROUTES: Final = (
    Route(
        "GET",
        "/jobs/{id}/logs",
        "read",
        read_logs,
        "Read a job's log",
        query=LogQuery,
        returns=LogPageView,
        errors=("node_unreachable",),
    ),
    Route(
        "GET",
        "/jobs/{id}/logs/stream",
        "read",
        stream_logs,
        "Follow a job's log",
        query=StreamQuery,
        returns=LogLine,
        produces=SSE,
    ),
)
