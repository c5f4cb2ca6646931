"""The local event log: what was committed and when, in append-only segment files.

It is derived from commits, so it is the same on every node and needs no fsync of its own: what a
power loss takes is appended again from the consensus log, which drops nothing that `flush` has not
made durable. All integers are big-endian, checksums CRC-32C::

    <first revision, 20 digits>.seg
    header  [magic 8][version u32][floor revision u64][floor k u32][crc u32]
    frame   [length u32][crc u32][revision u64][payload: msgpack array of the revision's events]

Rules:

E1. A frame holds all events of one revision: a torn write never leaves part of a commit.
E2. A frame's checksum covers its revision and payload; revisions ascend.
E3. `floor` of a segment is the last event before it; that of the oldest tells what was dropped.
E4. `flush` leaves a frame without events behind what it made durable. Bad bytes before such a
    frame are damage (Corrupt); bad bytes after the last one are a torn tail (cut off).
E5. Nothing is served before it is durable or in the hands of this process: `open` writes what
    follows the last flush once more and syncs it, as the log does (its L4).
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple, Self

import google_crc32c
import msgspec

from actors import limits
from actors.backends.disk import Disk, DiskFile, refusal, refusing
from actors.backends.file_copy import copy_start, link
from actors.errors import Corrupt, DataDirectory, StorageFailed
from actors.model.event import Event, matches

__all__ = ["EventSegments"]

_MAGIC: Final = b"JOBDEVT\0"
_VERSION: Final = 1
_HEADER: Final = struct.Struct(">8sIQI")
_CRC: Final = struct.Struct(">I")
_FRAME: Final = struct.Struct(">IIQ")
_HEADER_BYTES: Final = _HEADER.size + _CRC.size
_SEGMENTS: Final = 16  # a segment is this part of what is kept, so that retention has a grain
_STRIDE: Final = 64 * 1024  # bytes between two frames whose places are kept in memory
_NO_EVENTS: Final = b"\x90"
_MARK: Final = re.compile(rb"(?=\x00\x00\x00\x01.{12}\x90)", re.DOTALL)
_DECODER: Final = msgspec.msgpack.Decoder(list[Event])
_ENCODER: Final = msgspec.msgpack.Encoder()
_REMEDY: Final = "Remove the `events` directory: the log of past events goes, jobs do not."


class _Frame(NamedTuple):
    revision: int
    payload: bytes
    end: int


class _Segment:
    """One file. Its places are known once it was walked through or because it was written here."""

    def __init__(self, path: Path, file: DiskFile, floor: tuple[int, int], size: int) -> None:
        self.path = path
        self.file = file
        self.floor = floor
        self.first = int(path.stem)
        self.end = size
        self.places: list[tuple[int, int]] | None = None  # (revision, offset), _STRIDE apart
        self.flushed = _HEADER_BYTES  # all before it is durable, once walked through

    def frames(self, at: int) -> Iterator[_Frame]:
        """Yield valid frames from an offset up to the first bad one or the end."""
        base, window = at, b""
        while at < self.end:
            frame = _frame_at(window, at - base, base)
            if frame is None:
                need = max(_STRIDE, _frame_bytes(window, at - base))
                if len(window) >= min(need, self.end - at) and base == at:
                    return
                base, window = at, self.file.read_at(at, min(need, self.end - at))
                continue
            yield frame
            at = frame.end

    def note(self, revision: int, offset: int, payload: bytes) -> None:
        """Remember the place of a frame with events, if the one before is a stride away."""
        if self.places is None or payload == _NO_EVENTS:
            return
        if not self.places or offset - self.places[-1][1] >= _STRIDE:
            self.places.append((revision, offset))

    def walk(self) -> int:
        """Learn the places of all frames; return the offset behind the last valid one."""
        at, self.places = _HEADER_BYTES, []
        for frame in self.frames(at):
            self.note(frame.revision, at, frame.payload)
            if frame.payload == _NO_EVENTS:
                self.flushed = at
            at = frame.end
        return at

    def seek(self, revision: int) -> int:
        """Return the offset of a frame at or before this revision. Raises Corrupt."""
        if self.places is None and self.walk() != self.end:
            self.places = None
            raise Corrupt(f"event segment {self.path.name} is damaged", remedy=_REMEDY)
        places = self.places or []
        found = bisect_right(places, (revision, self.end)) - 1
        return places[found][1] if found >= 0 else _HEADER_BYTES


def _frame_bytes(window: bytes, at: int) -> int:
    if at + _FRAME.size > len(window):
        return _FRAME.size
    return _FRAME.size + int(_CRC.unpack_from(window, at)[0])


def _frame_at(window: bytes, at: int, base: int) -> _Frame | None:
    end = at + _frame_bytes(window, at)
    if end > len(window):
        return None
    _, crc, revision = _FRAME.unpack_from(window, at)
    if google_crc32c.value(window[at + 2 * _CRC.size : end]) != crc:
        return None
    return _Frame(revision, window[at + _FRAME.size : end], base + end)


def _encode_frame(revision: int, payload: bytes) -> bytes:
    body = revision.to_bytes(8, "big") + payload
    return _CRC.pack(len(payload)) + _CRC.pack(google_crc32c.value(body)) + body


class EventSegments:
    """An EventLog in a directory of its own. One thread at a time."""

    def __init__(self, directory: Path, max_bytes: int, max_age_s: float, disk: Disk) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._max_age_ms = int(max_age_s * 1000)
        self._disk = disk
        self._segments: list[_Segment] = []
        self._last: tuple[int, int] = (0, 0)
        self._newest_ms = 0
        self._dirty = False
        self._failed: StorageFailed | None = None

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        max_bytes: int = limits.EVENT_LOG_BYTES,
        max_age_s: float = limits.EVENT_LOG_AGE_S,
        disk: Disk | None = None,
        floor: tuple[int, int] = (0, 0),
    ) -> Self:
        """Open or create; a torn tail is cut off. A new one begins behind the event `floor`.

        Raises Corrupt, DataDirectory (another version), ReadOnly, StorageFailed.
        """
        log = cls(directory, max_bytes, max_age_s, disk or Disk())
        log._last = floor
        try:
            log._open()
        except OSError as error:
            raise refusal(f"event log {directory}", error) from error
        return log

    def _open(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._disk.remove(sorted(self._directory.glob("*.tmp")))
        for path in sorted(self._directory.glob("*.seg")):
            self._segments.append(self._open_segment(path))
        if not self._segments:
            self._begin()
            return
        active = self._segments[-1]
        end = active.walk()
        if end != active.end:
            self._cut(active, end)
        self._settle(active)
        self._last, self._newest_ms = active.floor, 0
        for frame in active.frames(active.places[-1][1] if active.places else end):
            if events := _DECODER.decode(frame.payload):
                self._last = (events[-1].revision, events[-1].k)
                self._newest_ms = events[-1].time_ms

    def _settle(self, active: _Segment) -> None:
        """Make durable what an earlier process had not flushed, or could not (E5)."""
        if active.flushed < active.end:
            tail = active.file.read_at(active.flushed, active.end - active.flushed)
            active.file.write_at(active.flushed, tail)
            active.file.sync()

    def _open_segment(self, path: Path) -> _Segment:
        file = self._disk.open(path)
        head = file.read_at(0, _HEADER_BYTES)
        if (
            len(head) < _HEADER_BYTES
            or google_crc32c.value(head[: _HEADER.size]) != _CRC.unpack_from(head, _HEADER.size)[0]
        ):
            raise Corrupt(f"event segment {path.name}: damaged header", remedy=_REMEDY)
        magic, version, revision, k = _HEADER.unpack_from(head)
        if magic != _MAGIC or version != _VERSION:
            raise DataDirectory(f"event segment {path.name} has version {version}; expected 1")
        return _Segment(path, file, (revision, k), file.size())

    def _cut(self, segment: _Segment, end: int) -> None:
        """Drop a torn tail, unless something behind it was durable (E4)."""
        tail = segment.file.read_at(end, segment.end - end)
        for match in _MARK.finditer(tail, 1):
            if _frame_at(tail, match.start(), end) is not None:
                raise Corrupt(
                    f"event segment {segment.path.name} is damaged at {end}", remedy=_REMEDY
                )
        segment.file.truncate(end)
        segment.file.sync()
        segment.end = end

    # -- writing

    @property
    def last_revision(self) -> int:
        """Revision of the last event, 0 when there is none."""
        return self._last[0]

    @property
    def last(self) -> tuple[int, int]:
        """(revision, k) of the last event, (0, 0) when there is none."""
        return self._last

    @property
    def floor(self) -> tuple[int, int]:
        """(revision, k) of the last event that was dropped; (0, 0) while nothing was."""
        return self._segments[0].floor

    def append(self, events: list[Event]) -> None:
        """Add events, whole revisions in order, not yet durable; known revisions are ignored.

        Raises ReadOnly with nothing added, StorageFailed.
        """
        self._check()
        payloads: list[tuple[int, bytes]] = []
        fresh = [event for event in events if event.revision > self._last[0]]
        for revision, of_revision in groupby(fresh, key=lambda event: event.revision):
            payloads.append((revision, _ENCODER.encode(list(of_revision))))
        if not payloads:
            return
        try:
            if self._active.end >= self._max_bytes // _SEGMENTS:
                self._roll()
            self._write(payloads)
        except OSError as error:
            raise self._refuse(error) from error
        self._last = (fresh[-1].revision, fresh[-1].k)
        self._newest_ms = fresh[-1].time_ms

    @property
    def _active(self) -> _Segment:
        return self._segments[-1]

    def _write(self, payloads: list[tuple[int, bytes]]) -> None:
        active = self._active
        frames = b"".join(_encode_frame(revision, payload) for revision, payload in payloads)
        active.file.write_at(active.end, frames)
        self._dirty = True
        for revision, payload in payloads:
            active.note(revision, active.end, payload)
            active.end += _FRAME.size + len(payload)

    def flush(self) -> None:
        """Return when everything appended survives a power loss. Raises StorageFailed, ReadOnly."""
        self._check()
        if not self._dirty:
            return
        try:
            self._sync()
        except OSError as error:
            raise self._refuse(error) from error

    def _sync(self) -> None:
        try:
            self._active.file.sync()
        except OSError as error:  # never tried again: the kernel may have dropped the pages
            raise OSError(None, f"fdatasync: {error.strerror}") from error
        self._write([(self._last[0], _NO_EVENTS)])
        self._dirty = False

    def _roll(self) -> None:
        if self._dirty:
            self._sync()
        self._begin()

    def _begin(self) -> None:
        path, new = self._directory / f"{self._last[0] + 1:020d}.seg", self._directory / "new.tmp"
        file = self._disk.create(new, _HEADER_BYTES)
        try:
            head = _HEADER.pack(_MAGIC, _VERSION, *self._last)
            file.write_at(0, head + _CRC.pack(google_crc32c.value(head)))
            file.sync()
            self._disk.rename(new, path)
        except OSError:
            file.close()
            new.unlink(missing_ok=True)
            raise
        segment = _Segment(path, file, self._last, _HEADER_BYTES)
        segment.places = []
        self._segments.append(segment)

    def _check(self) -> None:
        if self._failed is not None:
            raise self._failed

    def _refuse(self, error: OSError) -> Exception:
        failure = refusal(f"event log {self._directory}", error)
        if isinstance(failure, StorageFailed):
            self._failed = failure
        return failure

    # -- reading

    def read(
        self,
        after: tuple[int, int],
        limit: int,
        types: tuple[str, ...] = (),
        subject: str | None = None,
    ) -> list[Event]:
        """Return up to `limit` events above (revision, k) that match. Raises Corrupt."""
        found: list[Event] = []
        start = max(bisect_right(self._segments, after[0], key=lambda s: s.first) - 1, 0)
        try:
            for segment in self._segments[start:]:
                for event in self._events(segment, after):
                    if matches(event, types, subject):
                        found.append(event)
                        if len(found) >= limit:
                            return found
        except OSError as error:
            raise refusal(f"event log {self._directory}", error) from error
        return found

    def _events(self, segment: _Segment, after: tuple[int, int]) -> Iterator[Event]:
        at = segment.seek(after[0])
        for frame in segment.frames(at):
            at = frame.end
            if frame.revision >= after[0]:
                for event in _DECODER.decode(frame.payload):
                    if (event.revision, event.k) > after:
                        yield event
        if at != segment.end:
            raise Corrupt(f"event segment {segment.path.name} is damaged at {at}", remedy=_REMEDY)

    # -- retention

    def prune(self, now_ms: int) -> None:
        """Drop the oldest segments past the limits of age and size."""
        oldest_ms = now_ms - self._max_age_ms
        dropped: list[_Segment] = []
        try:
            if self._active.end > _HEADER_BYTES and self._newest_ms < oldest_ms:
                self._roll()
            total = sum(segment.end for segment in self._segments)
            while len(self._segments) > 1 and (
                total > self._max_bytes or self._begins_before(self._segments[1], oldest_ms)
            ):
                dropped.append(self._segments.pop(0))
                total -= dropped[-1].end
            self._disk.remove([segment.path for segment in dropped])
        except OSError as error:
            raise self._refuse(error) from error
        finally:
            for segment in dropped:
                segment.file.close()

    def _begins_before(self, segment: _Segment, time_ms: int) -> bool:
        """Whether the events before a segment are older than a time, judged by its first one."""
        for frame in segment.frames(_HEADER_BYTES):
            if events := _DECODER.decode(frame.payload):
                return bool(events[0].time_ms < time_ms)
        return self._newest_ms < time_ms

    @refusing("the copy of the event log")
    def checkpoint(self, dest: Path) -> None:
        """Write a copy of what was appended, that opens as an event log."""
        dest.mkdir(mode=0o700, parents=True)
        *complete, active = self._segments
        for segment in complete:
            link(segment.path, dest / segment.path.name)
        copy_start(active.path, dest / active.path.name, active.end)

    def close(self) -> None:
        """Release the files; what was not flushed is left to the operating system."""
        for segment in self._segments:
            segment.file.close()
