"""The actor of job logs and artifacts on this node's disk: read, archive, retain, wake readers."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from actors import limits
from actors.core.launch import LargeOutput
from actors.core.ports import ArtifactStore, JobLogStore
from actors.core.spec import read_output
from actors.errors import JobdError, NotFound
from actors.model import keys
from actors.runtime import After, Context, Effects, Fail, Reply, ThreadActor, handles

__all__ = ["Archive", "Archived", "Forget", "MakeRoom", "ReadLog", "RunLog"]

_log: Final = logging.getLogger(__name__)
_PRUNE_EVERY_S: Final = 60.0
_RETRY_S: Final = 1.0


class ReadLog(msgspec.Struct, frozen=True):
    """Answered with a LogPage. `stream`: 1 stdout, 2 stderr, None both."""

    attempt: str
    from_seq: int
    limit: int
    stream: int | None = None


class Archive(msgspec.Struct, frozen=True):
    """Take over an ended attempt's log and its large output; answered with Archived.

    The output is held to `schema` here: a decoder on the loop would hold up everybody.
    """

    attempt: str
    output_path: str | None = None
    schema: dict[str, Any] | None = None


class Archived(msgspec.Struct, frozen=True):
    """`output` says what the large output has become."""

    attempt: str
    output: LargeOutput | None


class Forget(msgspec.Struct, frozen=True):
    """A job was deleted: so go its log and its artifacts. Else they go by their age and size."""

    job_id: str


class MakeRoom(msgspec.Struct, frozen=True):
    """The disk fills up: let the oldest logs go, this many bytes or all there are."""

    needed_bytes: int


class _Prune(msgspec.Struct, frozen=True):
    pass


class RunLog(ThreadActor):
    """One per node; blocking file work in a thread of its own."""

    mailbox_limit = 10_000

    def __init__(self, logs: JobLogStore, artifacts: ArtifactStore) -> None:
        super().__init__()
        self._logs = logs
        self._artifacts = artifacts

    def on_start(self) -> Effects:
        """Begin the rounds of retention."""
        return [After(_PRUNE_EVERY_S, _Prune(), key="prune")]

    @handles(ReadLog)
    def read(self, message: ReadLog, context: Context) -> Effects:
        """Answer with records."""
        assert context.reply is not None, "ReadLog is an ask"
        try:
            page = self._logs.read(message.attempt, message.from_seq, message.limit, message.stream)
        except JobdError as error:
            return [Fail(context.reply, error)]
        return [Reply(context.reply, page)]

    @handles(Archive)
    def archive(self, message: Archive, context: Context) -> Effects:
        """Take over what the supervisor may then forget."""
        assert context.reply is not None, "Archive is an ask"
        output = None
        try:
            if message.output_path is not None:
                output = self._take_output(message.attempt, message.output_path, message.schema)
            self._logs.archive(message.attempt)
        except NotFound:
            pass  # its spool is gone, and so will it be at any later try
        except JobdError as error:
            return [Fail(context.reply, error)]
        return [Reply(context.reply, Archived(message.attempt, output))]

    def _take_output(self, attempt: str, path: str, schema: dict[str, Any] | None) -> LargeOutput:
        """Taken first, then looked at: a repeat after a crash finds it taken and says the same."""
        job_id, task, _ = keys.attempt_parts(attempt)
        try:
            digest = self._artifacts.take(job_id, task, Path(path))
        except NotFound as error:
            return LargeOutput("", "output", error.message)
        _, reason, detail = read_output(self._artifacts.read(job_id, task), schema)
        return LargeOutput(digest, reason, detail)

    @handles(Forget)
    def forget(self, message: Forget, context: Context) -> Effects:
        """Delete what belonged to a deleted job; when the disk refuses, in a moment."""
        try:
            self._logs.delete(message.job_id)
            self._artifacts.delete(message.job_id)
        except JobdError:
            return [After(_RETRY_S, message)]
        return None

    @handles(MakeRoom)
    def make_room(self, message: MakeRoom, context: Context) -> Effects:
        """Let the oldest logs go before their time."""
        with suppress(JobdError):  # the disk refuses: the next look at it asks again
            gone = self._logs.shrink(message.needed_bytes)
            if gone:
                _log.warning("the disk fills up: the logs of the %d oldest attempts went", gone)
        return None

    def on_stop(self) -> None:
        """Release the files."""
        self._logs.close()

    @handles(_Prune)
    def prune(self, message: _Prune, context: Context) -> Effects:
        """Drop the oldest logs past the limits."""
        with suppress(JobdError):  # the disk refuses: the next round does it
            now_ms = self.clock.now_ms()
            self._logs.prune(now_ms, limits.LOG_KEEP_S, limits.LOG_KEEP_BYTES)
            self._artifacts.prune(now_ms, limits.ARTIFACT_KEEP_S, limits.ARTIFACT_KEEP_BYTES)
        return [After(_PRUNE_EVERY_S, _Prune(), key="prune")]
