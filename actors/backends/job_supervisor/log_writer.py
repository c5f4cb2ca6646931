"""Writes one attempt's stdout and stderr to its chunk files.

Invariants
1. Bytes of one stream come out in the order in which they came in, unchanged but for secrets,
   which are masked before anything else is done with them: nothing here ever holds one.
2. A record reaches the file in one write, before its sequence number is told to anyone.
3. At most `log_bytes` are kept; one marker record says that the rest was dropped.
4. What a full disk did not take is dropped whole, counted, and told by a marker once there is room.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Final

from actors.backends.job_supervisor.spool import chunk_name, write_whole
from actors.core.log_record import (
    PARTIAL,
    STDERR,
    STDOUT,
    SUPERVISOR,
    TRUNCATED,
    LogRecord,
    encode_record,
    line_count,
)
from actors.core.redact import Redactor
from actors.limits import LOG_ATTEMPT_BYTES, LOG_CHUNK_BYTES, LOG_LINE_BYTES

__all__ = ["LogWriter"]

_CLOSED: Final = -1


class LogWriter:
    """The log of one attempt. `masked` are the texts that must not be seen in it."""

    def __init__(
        self,
        directory: str,
        *,
        log_bytes: int = 0,
        line_bytes: int = 0,
        masked: Collection[bytes] = (),
    ) -> None:
        self.next_seq = 0
        self.dropped_bytes = 0
        self.error = ""  # why records could not be written, if so
        self._directory = directory
        self._room = log_bytes or LOG_ATTEMPT_BYTES
        self._line_bytes = line_bytes or LOG_LINE_BYTES
        self._open_lines: dict[int, bytes] = {}  # what came behind the last newline, by stream
        self._redactors = {stream: Redactor(masked) for stream in (STDOUT, STDERR) if masked}
        self._truncated = False
        self._lost_bytes = 0  # since the last record that could be written
        self._fd = _CLOSED
        self._chunk_size = 0

    def feed(self, stream: int, data: bytes, now_ms: int) -> None:
        """Take what was read of a stream; whole lines are on disk when this returns."""
        self._feed(stream, self._redactors[stream].feed(data) if self._redactors else data, now_ms)

    def _feed(self, stream: int, data: bytes, now_ms: int) -> None:
        if open_line := self._open_lines.pop(stream, b""):
            data = open_line + data
        if len(data) > self._line_bytes:
            self._feed_long(stream, data, now_ms)
            return
        end = data.rfind(b"\n") + 1
        if end < len(data):
            self._open_lines[stream] = data[end:]
            data = data[:end]
        if data:
            self._append(stream, data, 0, now_ms)

    def _feed_long(self, stream: int, data: bytes, now_ms: int) -> None:
        """The same for more than a line's bound: look at each line."""
        start = 0
        while start < len(data):
            newline = data.rfind(b"\n", start, start + self._line_bytes)
            if newline >= 0:
                end, flags = newline + 1, 0
            elif len(data) - start >= self._line_bytes:
                end, flags = start + self._line_bytes, PARTIAL
            else:
                self._open_lines[stream] = data[start:]
                return
            self._append(stream, data[start:end], flags, now_ms)
            start = end

    def flush(self, now_ms: int) -> None:
        """Write the open lines as pieces: a prompt is to be seen although no newline follows."""
        for stream, redactor in self._redactors.items():
            self._feed(stream, redactor.flush(), now_ms)
        self._write_open_lines(now_ms)

    def _write_open_lines(self, now_ms: int) -> None:
        for stream, data in sorted(self._open_lines.items()):
            self._append(stream, data, PARTIAL, now_ms)
        self._open_lines.clear()

    @property
    def has_open_line(self) -> bool:
        """Whether there is something to flush."""
        held = self._redactors and any(r.has_held for r in self._redactors.values())
        return bool(self._open_lines or held)

    def close(self, now_ms: int) -> None:
        """No more will come."""
        for stream, redactor in self._redactors.items():
            self._feed(stream, redactor.close(), now_ms)
        self._write_open_lines(now_ms)
        if self._fd != _CLOSED:
            os.close(self._fd)
            self._fd = _CLOSED

    def _append(self, stream: int, data: bytes, flags: int, now_ms: int) -> None:
        if self._truncated or len(data) > self._room:
            self._truncate(stream, data, now_ms)
            return
        if self._lost_bytes and not self._tell_lost(now_ms):
            self._lose(data)
            return
        self._room -= len(data)
        if not self._write(LogRecord(self.next_seq, now_ms, stream, flags, data)):
            self._lose(data)

    def _lose(self, data: bytes) -> None:
        self._lost_bytes += len(data)
        self.dropped_bytes += len(data)

    def _tell_lost(self, now_ms: int) -> bool:
        """Say that bytes are missing here; False while there still is no room."""
        marker = f"[jobd] {self._lost_bytes} bytes are missing here: {self.error}\n".encode()
        if not self._write(LogRecord(self.next_seq, now_ms, SUPERVISOR, 0, marker)):
            return False
        self._lost_bytes = 0
        return True

    def _truncate(self, stream: int, data: bytes, now_ms: int) -> None:
        """Keep what fits, say once that the rest is dropped, count it."""
        kept = b"" if self._truncated else data[: self._room]
        self.dropped_bytes += len(data) - len(kept)
        if self._truncated:
            return
        self._truncated, self._room = True, 0
        if kept:
            flags = 0 if kept.endswith(b"\n") else PARTIAL
            if not self._write(LogRecord(self.next_seq, now_ms, stream, flags, kept)):
                self._lose(kept)
        marker = b"[jobd] the log is at its limit; what follows was dropped\n"
        self._write(LogRecord(self.next_seq, now_ms, SUPERVISOR, TRUNCATED, marker))

    def _write(self, record: LogRecord) -> bool:
        """Write a record whole or not at all; False when it could not be."""
        encoded = encode_record(record)
        try:
            if self._fd == _CLOSED or self._chunk_size >= LOG_CHUNK_BYTES:
                self._open_chunk()
            write_whole(self._fd, encoded)
        except OSError as error:
            # The job is worth more than its log: it goes on, the exit record says what is missing.
            self.error = error.strerror or str(error)
            if self._fd != _CLOSED:  # the next record goes where this one began
                os.ftruncate(self._fd, self._chunk_size)
            return False
        self._chunk_size += len(encoded)
        self.next_seq = record.seq + line_count(record.data)
        return True

    def _open_chunk(self) -> None:
        if self._fd != _CLOSED:
            os.close(self._fd)
            self._fd = _CLOSED
        self._fd = os.open(
            f"{self._directory}/{chunk_name(self.next_seq)}",
            os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC,
            0o600,
        )
        self._chunk_size = 0
