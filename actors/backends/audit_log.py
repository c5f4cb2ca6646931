"""The audit trail in segment files of JSON lines: `<data>/audit/<number of the first>.jsonl`.

A batch is one write; a write that fails is cut off again. After a crash the last line may be torn:
it is cut off when the trail is opened, as it was never complete. A line that is complete and yet
no record is left where it is: it is evidence.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from actors import limits
from actors.backends.disk import Disk, DiskFile, refusing
from actors.backends.file_copy import copy_segments
from actors.core.audit import (
    PRUNED,
    AuditDraft,
    AuditRecord,
    Chain,
    Head,
    Verdict,
    Walk,
    decode_line,
    digest_of,
)
from actors.core.audit_port import AuditPage

__all__ = ["AuditSegments", "copy_trail"]

_SUFFIX: Final = ".jsonl"
_SEGMENTS_PER_PAGE: Final = 4  # what a page looks at


class AuditSegments:
    """Implements actors.core.audit_port.AuditLog."""

    def __init__(self, directory: Path, disk: Disk) -> None:
        self._directory = directory
        self._disk = disk
        self._file: DiskFile | None = None
        self._size = 0
        self._chain = Chain(self._recover())
        self._is_dirty = False

    @classmethod
    def open(cls, directory: Path, *, disk: Disk | None = None) -> AuditSegments:
        """Open or create a trail. Raises ReadOnly, StorageFailed."""
        with refusing("the audit trail can't be opened"):
            directory.mkdir(mode=0o700, exist_ok=True)
            return cls(directory, disk or Disk())

    def _recover(self) -> Head:
        """Return where the chain ends, a torn last line cut off, and go on in its segment."""
        for path in reversed(_segments(self._directory)):
            lines = _lines(path)
            if not lines:
                path.unlink()
                continue
            self._file, self._size = self._disk.open(path), sum(len(line) + 1 for line in lines)
            self._file.truncate(self._size)
            return Head(_first_of(path) + len(lines) - 1, digest_of(lines[-1]))
        return Head()

    @property
    def head(self) -> Head:
        """The end of the chain."""
        return self._chain.head

    # -- writing

    def append(self, drafts: list[AuditDraft]) -> None:
        """Write records in one go. Raises ReadOnly, StorageFailed."""
        lines, head = self._chain.extend(drafts)
        with refusing("the audit trail can't be written"):
            file = self._segment()
            try:
                file.write_at(self._size, lines)
            except OSError:
                file.truncate(self._size)
                raise
        self._size += len(lines)
        self._chain.head, self._is_dirty = head, True

    def _segment(self) -> DiskFile:
        """Return the file to write to, a new one when the last is full."""
        if self._file is not None and self._size >= limits.AUDIT_SEGMENT_BYTES:
            self._sync()
            self._file.close()
            self._file = None
        if self._file is None:
            path = self._directory / f"{self.head.n + 1:016d}{_SUFFIX}"
            self._file = DiskFile(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._size = 0
            self._disk.sync_dir(self._directory)
        return self._file

    def sync(self) -> None:
        """Make what was appended durable."""
        with refusing("the audit trail can't be made durable"):
            self._sync()

    def _sync(self) -> None:
        if self._is_dirty and self._file is not None:
            self._file.sync()
        self._is_dirty = False

    def prune(self, now_ms: int) -> int:
        """Drop the oldest segments past the limits: first the record that says so, then they."""
        segments = _segments(self._directory)
        sizes = [path.stat().st_size for path in segments[:-1]]
        excess = sum(sizes) - limits.AUDIT_KEEP_BYTES
        oldest_s = now_ms / 1000 - limits.AUDIT_KEEP_S
        gone: list[Path] = []
        for path, size in zip(segments[:-1], sizes, strict=True):
            if excess <= 0 and path.stat().st_mtime >= oldest_s:
                break
            gone.append(path)
            excess -= size
        if not gone:
            return 0
        lines = _lines(gone[-1]) or [b""]  # what stands there may be no record any more
        self.append(
            [
                AuditDraft(
                    time_ms=now_ms,
                    operation=PRUNED,
                    decision="allowed",
                    outcome="ok",
                    actor="node",
                    subject=str(_first_of(segments[len(gone)]) - 1),
                    args=digest_of(lines[-1]),
                )
            ]
        )
        self.sync()
        with refusing("old segments of the audit trail can't be removed"):
            self._disk.remove(gone)
        return len(gone)

    def close(self) -> None:
        """Make everything durable and release the files."""
        self.sync()
        if self._file is not None:
            self._file.close()
            self._file = None

    # -- reading

    def read(self, before: int, limit: int, wanted: Callable[[AuditRecord], bool]) -> AuditPage:
        """Return wanted records, the newest first."""
        end = min(before or self.head.n + 1, self.head.n + 1)
        found: list[AuditRecord] = []
        paths = [path for path in _segments(self._directory) if _first_of(path) < end]
        for path in paths[: -_SEGMENTS_PER_PAGE - 1 : -1]:
            for record in _newest_first(path, end):
                if len(found) == limit:
                    return AuditPage(found, found[-1].n)
                if wanted(record):
                    found.append(record)
            end = _first_of(path)
        return AuditPage(found, end if len(paths) > _SEGMENTS_PER_PAGE else 0)

    def verify(self, kept: Head | None) -> Verdict:
        """Walk over the whole chain."""
        while True:
            paths = _segments(self._directory)
            verdict = self._verify(paths, kept)
            if not verdict.problem or paths == _segments(self._directory)[: len(paths)]:
                return verdict  # else retention dropped some meanwhile: look at the rest

    def _verify(self, paths: list[Path], kept: Head | None) -> Verdict:
        end, walk = self.head.n, Walk(kept)
        for path in paths:
            for number, line in enumerate(_lines(path), 1):
                if _first_of(path) + number - 1 > end:
                    break
                walk.take(line, f"{path.name}, line {number}")
        return walk.verdict()


def copy_trail(directory: Path, dest: Path) -> None:
    """Copy a trail that its owner goes on writing: of the last line a part at most. Raises OSError.

    A chain that was copied is one: the restored node goes on behind it.
    """
    copy_segments(_segments(directory), dest)


def _segments(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.suffix == _SUFFIX)


def _first_of(path: Path) -> int:
    return int(path.stem)


def _lines(path: Path) -> list[bytes]:
    """Return the complete lines of a segment; none of one that was dropped meanwhile."""
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []


def _newest_first(path: Path, before: int) -> Iterator[AuditRecord]:
    """Yield the records below a number; what is none is `verify`'s affair."""
    for line in reversed(_lines(path)):
        try:
            record = decode_line(line)
        except ValueError:
            continue
        if record.n < before:
            yield record
