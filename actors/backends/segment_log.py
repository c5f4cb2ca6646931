"""The durable log on disk: the only thing that fsyncs on the hot path.

`<first index, 20 digits>.seg` files of the format of `actors.core.log_format`, recovered by the
table of `actors.core.log_recovery`. One thread appends; a helper thread prepares the next segment
when the active one is half full, so that an append does not wait for zeros to be written.

Order duties:

L1. A segment gets its name only when its header is durable, so a named file has a whole header.
L2. A group is acknowledged after the one fdatasync that covers its records and its mirror copy.
L3. After a failed fsync, or a write error other than a full disk, the log refuses further use:
    what the kernel still holds is unknown (Rebello et al., "Can Applications Recover from fsync
    Failures?", ATC 2020). A full disk leaves nothing behind, and the next append tries again.
L4. Nothing is served before it is durable. A process that was killed or whose fsync failed leaves
    its last group in the page cache, where it reads as whole and may yet be lost with the power;
    after a failed fsync it may even be clean, so that only writing it again brings it to the disk.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from actors import limits
from actors.backends.disk import NO_ROOM, Disk, DiskFile, refusal
from actors.core.log_format import (
    PAGE,
    SCHEMA,
    SLOT_OVERHEAD,
    SegmentHeader,
    decode_slot,
    encode_group,
    encode_slot,
    group_bytes,
    records,
)
from actors.core.log_recovery import Recovered, check_name, read_header, recover
from actors.core.ports import LogEntry
from actors.errors import Corrupt, DataDirectory, StorageFailed, TooLarge

__all__ = ["SegmentLog"]

_SLOT_SHARE: Final = 8  # a mirror slot is this part of a segment
_SPARE: Final = "spare.tmp"
_NEW: Final = "new.tmp"


def _path(directory: Path, first: int) -> Path:
    return directory / f"{first:020d}.seg"


def _round(size: int) -> int:
    return -(-size // PAGE) * PAGE


class _Spare:
    """A segment file being prepared by a thread of its own."""

    def __init__(self, disk: Disk, path: Path, size: int) -> None:
        self.size = size
        self._file: DiskFile | None = None
        self._thread = threading.Thread(
            target=self._prepare, args=(disk, path), name="log-spare", daemon=True
        )
        self._thread.start()

    def _prepare(self, disk: Disk, path: Path) -> None:
        try:
            self._file = disk.create(path, self.size)
        except OSError:
            self._file = None  # the append that needs it tries itself, and says why it can't

    def take(self) -> DiskFile | None:
        """Wait until it is done and return the file, None when it could not be made."""
        self._thread.join()
        return self._file


class SegmentLog:
    """A LogStore in a directory of its own, for one process (the node's lock sees to it)."""

    def __init__(self, directory: Path, segment_bytes: int, disk: Disk) -> None:
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._disk = disk
        self._firsts: list[int] = []  # of every segment, ascending; the last one is active
        self._spare: _Spare | None = None
        self._failed: StorageFailed | None = None
        self._file: DiskFile
        self._header: SegmentHeader
        self._seed = 0
        self._last = 0
        self._end = 0
        self._slot = 0

    @classmethod
    def open(
        cls,
        directory: Path,
        segment_bytes: int = limits.SEGMENT_BYTES,
        disk: Disk | None = None,
        first_index: int = 1,
    ) -> Self:
        """Open or create the log, its last segment recovered. `disk` is where tests put faults.

        A new log begins with `first_index`: behind the image that it goes on from.

        Raises Corrupt, DataDirectory (another version), ReadOnly, StorageFailed.
        """
        log = cls(directory, segment_bytes, disk or Disk())
        try:
            log._open(first_index)
        except OSError as error:
            raise refusal(f"log {directory}", error) from error
        return log

    def _open(self, first_index: int) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._disk.remove(sorted(self._directory.glob("*.tmp")))
        try:
            self._firsts = sorted(int(path.stem) for path in self._directory.glob("*.seg"))
        except ValueError as error:
            raise Corrupt(f"log {self._directory} holds a file that is no segment") from error
        if not self._firsts:
            self._begin(first_index, 0)
            return
        for first in self._firsts:
            self._check_header(first)
        self._file = self._disk.open(_path(self._directory, self._firsts[-1]))
        found = self._recover(self._file, self._firsts[-1], None)
        self._use(found.header, found.last, found.end, found.slot)
        self._settle(found)

    def _settle(self, found: Recovered) -> None:
        """Make durable what was read (L4): the last group is written once more, then synced."""
        header, image = found.header, found.image
        group_at = header.records_at
        for number in (0, 1):
            slot = decode_slot(image, header, number)
            if slot is not None and slot.last == found.last:
                at, group_at = header.slot_at(number), slot.offset
                self._file.write_at(at, image[at : at + SLOT_OVERHEAD + len(slot.group)])
        if found.end > group_at:
            self._file.write_at(group_at, image[group_at : found.end])
        self._file.sync()

    def _check_header(self, first: int) -> None:
        path = _path(self._directory, first)
        file = self._disk.open(path)
        try:
            header, _ = read_header(file.read_at(0, PAGE), path.name)
        finally:
            file.close()
        check_name(path.name, first, header)

    def _recover(self, file: DiskFile, first: int, next_first: int | None) -> Recovered:
        found = recover(file.read(), _path(self._directory, first).name, next_first=next_first)
        for patch in found.patches:
            file.write_at(patch.offset, patch.data)
        if found.patches:
            file.sync()
        return found

    def _use(self, header: SegmentHeader, last: int, end: int, slot: int) -> None:
        self._header, self._seed = header, header.seed
        self._last, self._end, self._slot = last, end, slot

    # -- reading

    @property
    def last_index(self) -> int:
        """Index of the last durable entry; of an empty log 0."""
        return self._last

    @property
    def first_index(self) -> int:
        """Index of the oldest entry still had, `last_index + 1` when there is none."""
        return self._firsts[0]

    @property
    def segments(self) -> tuple[int, ...]:
        """The first index of every segment, ascending."""
        return tuple(self._firsts)

    def replay(self, after: int) -> Iterator[LogEntry]:
        """Yield the durable entries above an index, each checked.

        Raises Corrupt when one is damaged beyond repair, or when the log doesn't hold all that it
        is asked for; DataDirectory when a newer node wrote them; StorageFailed on a read error.
        """
        if after > self._last or after + 1 < self._firsts[0]:
            raise Corrupt(
                f"the log holds entries {self._firsts[0]} to {self._last}, not those after {after}",
                remedy="Log and state image are of different histories; restore both together.",
            )
        for first, next_first in zip(self._firsts, [*self._firsts[1:], None], strict=True):
            if next_first is None or next_first > after + 1:
                yield from self._replay_segment(first, next_first, after)

    def _replay_segment(self, first: int, next_first: int | None, after: int) -> Iterator[LogEntry]:
        path = _path(self._directory, first)
        last = self._last if next_first is None else next_first - 1
        try:
            file = self._disk.open(path)
            try:
                found = self._recover(file, first, next_first) if next_first else None
                image = found.image if found else file.read()
            finally:
                file.close()
        except OSError as error:
            raise refusal(f"log segment {path.name}", error) from error
        header = found.header if found else self._header
        index = first - 1
        for record in records(image, header, header.records_at, first):
            if record.number > last:
                break
            if record.schema > SCHEMA:
                raise DataDirectory(f"log entry {record.number} has schema {record.schema}")
            index = record.number
            if index > after:
                yield LogEntry(index, record.kind, record.payload)
        if index != last:
            raise Corrupt(f"log segment {path.name}: entry {index + 1} can no longer be read")

    # -- appending

    def append(self, entries: list[LogEntry]) -> None:
        """Write entries as one group and make them durable before returning.

        Raises ReadOnly when there is no room, with nothing written; StorageFailed when a write or
        an fsync failed, after which the log must not be used; TooLarge for a payload over
        `limits.RECORD_BYTES`.
        """
        if self._failed is not None:
            raise self._failed
        if not entries:
            return
        first, last = entries[0].index, entries[-1].index
        assert (first, last) == (self._last + 1, self._last + len(entries)), "indexes are dense"
        length = group_bytes(entries)
        largest = max(len(entry.payload) for entry in entries)
        if largest > limits.RECORD_BYTES:
            raise TooLarge(f"a log entry of {largest} bytes; RECORD_BYTES is {limits.RECORD_BYTES}")
        try:
            if not self._fits(length):
                self._roll(length)
            self._write(entries, length)
        except OSError as error:
            failure = refusal(f"log {self._directory}", error)
            if isinstance(failure, StorageFailed):
                self._failed = failure
            raise failure from error
        self._prepare_spare()

    def _fits(self, length: int) -> bool:
        return (
            self._end + length <= self._header.size
            and SLOT_OVERHEAD + length <= self._header.slot_bytes
        )

    def _write(self, entries: list[LogEntry], length: int) -> None:
        group = encode_group(entries, self._seed)
        last = entries[-1].index
        slot = encode_slot(entries[0].index, last, self._end, group, self._seed)
        slot_at = self._header.slot_at(self._slot)
        try:
            self._file.write_at(slot_at, slot)
            self._file.write_at(self._end, group)
        except OSError as error:
            if error.errno in NO_ROOM:  # a copy-on-write file system; nothing may be left behind
                self._undo(slot_at, length)
            raise
        try:
            self._file.sync()
        except OSError as error:  # even ENOSPC: which pages were lost is not known any more
            raise OSError(None, f"fdatasync: {error.strerror}") from error
        self._last, self._end = last, self._end + length
        self._slot ^= 1

    def _undo(self, slot_at: int, length: int) -> None:
        try:
            self._file.write_at(self._end, bytes(length))
            self._file.write_at(slot_at, bytes(SLOT_OVERHEAD))
            self._file.sync()
        except OSError as error:
            raise OSError(None, f"no room, and not undone: {error.strerror}") from error

    # -- segments

    def _roll(self, length: int) -> None:
        old = self._file
        self._begin(self._last + 1, length)
        old.close()

    def _begin(self, first: int, length: int) -> None:
        """Make a new active segment in which a group of this length fits."""
        slot_bytes = _round(max(self._segment_bytes // _SLOT_SHARE, SLOT_OVERHEAD + length))
        size = _round(max(self._segment_bytes, PAGE + 2 * slot_bytes + length))
        path, file = self._directory / _NEW, None
        if self._spare is not None and self._spare.size == size:
            path, file = self._directory / _SPARE, self._spare.take()
            self._spare = None
        if file is None:
            path, file = self._directory / _NEW, self._disk.create(self._directory / _NEW, size)
        salt = int.from_bytes(os.urandom(8), "big")
        header = SegmentHeader(first, salt, size, slot_bytes)
        try:
            file.write_at(0, header.encode())
            file.sync()
            self._disk.rename(path, _path(self._directory, first))  # L1
        except OSError:
            file.close()
            path.unlink(missing_ok=True)
            raise
        self._file = file
        if first not in self._firsts:
            self._firsts.append(first)
        self._use(header, first - 1, header.records_at, 0)

    def _prepare_spare(self) -> None:
        if self._spare is None and self._end > self._header.size // 2:
            size = _round(
                max(self._segment_bytes, PAGE + 2 * _round(self._segment_bytes // _SLOT_SHARE))
            )
            self._spare = _Spare(self._disk, self._directory / _SPARE, size)

    def truncate_before(self, index: int) -> None:
        """Drop whole segments that hold only entries below this index, the oldest first."""
        keep = max((f for f in self._firsts if f <= index), default=self._firsts[0])
        dropped = [first for first in self._firsts if first < keep]
        try:
            self._disk.remove([_path(self._directory, first) for first in dropped])
        except OSError as error:
            raise refusal(f"log {self._directory}", error) from error
        self._firsts = [first for first in self._firsts if first >= keep]

    def close(self) -> None:
        """Release the files."""
        if self._spare is not None:
            spare = self._spare.take()
            if spare is not None:
                spare.close()
        self._file.close()
