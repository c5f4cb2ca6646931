"""Artifacts: outputs too large for a record, one file for each task of a job."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from actors import limits
from actors.backends.disk import refusing
from actors.backends.file_copy import link
from actors.errors import InvalidInput, NotFound
from actors.model.ids import is_id

__all__ = ["Artifacts"]


class Artifacts:
    """The artifacts of one node, at `<data>/artifacts/<job>/<task>`.

    Jobs share none, not even of the same content: what one job leaves goes with it alone.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @refusing("the artifacts")
    def take(self, job_id: str, task: int, path: Path) -> str:
        """Move an output in and return its sha256; a crash may come between this and its record."""
        dest = self._path(job_id, task)
        dest.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # moved by an earlier call
            path.replace(dest)
        try:
            with dest.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            raise NotFound(f"the output {path} is gone") from None
        # The finish transaction that names it is durable right after: so must be the file.
        directory = os.O_RDONLY | os.O_DIRECTORY
        for place, flags in (
            (dest, os.O_RDONLY),
            (dest.parent, directory),
            (self._root, directory),
        ):
            fd = os.open(place, flags)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        return digest

    def read(self, job_id: str, task: int) -> bytes:
        """Return a task's output."""
        return self._path(job_id, task).read_bytes()

    def path(self, job_id: str, task: int) -> Path | None:
        """Return the file of a task's output, or None. Raises InvalidInput for what is no job."""
        file = self._path(job_id, task)
        return file if file.is_file() else None

    def jobs(self) -> set[str]:
        """Return the jobs that have outputs."""
        return {path.name for path in self._root.glob("*") if is_id(path.name)}

    @refusing("the artifacts")
    def delete(self, job_id: str) -> None:
        """Forget the outputs of a job."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self._path(job_id, 0).parent)

    @refusing("the artifacts")
    def prune(self, now_ms: int, keep_s: int, keep_bytes: int) -> int:
        """Drop the oldest jobs' outputs past these limits; return of how many jobs."""
        found = sorted(self._sizes(), reverse=True)
        total = gone = 0
        for ended_ms, job_id, size in found:
            total += size
            age_s = (now_ms - ended_ms) / 1000
            if age_s > keep_s or (total > keep_bytes and age_s > limits.TERMINAL_KEEP_S):
                self.delete(job_id)
                gone += 1
        return gone

    def _sizes(self) -> Iterator[tuple[int, str, int]]:
        """Yield when each job had its last output, its id, and what its outputs take."""
        for job_id in self.jobs():
            folder = self._root / job_id
            with suppress(FileNotFoundError):  # deleted meanwhile
                size = sum(file.stat().st_size for file in folder.iterdir())
                yield folder.stat().st_mtime_ns // 1_000_000, job_id, size

    @refusing("the copy of the artifacts")
    def checkpoint(self, dest: Path) -> None:
        """Link every output into a directory: one that was taken is never written again."""
        for job_id in sorted(self.jobs()):
            with suppress(FileNotFoundError):  # deleted meanwhile
                for file in sorted((self._root / job_id).iterdir()):
                    link(file, dest / job_id / file.name)

    def _path(self, job_id: str, task: int) -> Path:
        if not is_id(job_id):
            raise InvalidInput(f"{job_id!r} is not the id of a job")
        return self._root / job_id / f"{task:05d}"
