"""Where a downloaded artifact goes: written beside its place, checked, then moved into it."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import IO, Any, TypeAlias

import msgspec

from actors.errors import Corrupt, NotFound
from jobd.api.job_views import ArtifactView

__all__ = ["Destination", "Writer"]

Destination: TypeAlias = str | os.PathLike[str] | IO[bytes]


class Writer:
    """Takes the bytes of one artifact, from the beginning again after a broken link."""

    def __init__(self, file: IO[bytes], digest: str | None, path: Path | None) -> None:
        self._file = file
        self._digest = digest
        self._path = path
        self._start = file.tell()
        self._size = 0
        self._hash = hashlib.sha256()

    @classmethod
    def to_memory(cls) -> Writer:
        """Keep the bytes."""
        return cls(io.BytesIO(), None, None)

    @classmethod
    def to(
        cls, destination: Destination, artifacts: list[ArtifactView], name: str, task: int
    ) -> Writer:
        """Write one of a job's artifacts. Raises NotFound."""
        found = [each for each in artifacts if (each.name, each.task) == (name, task)]
        if not found:
            raise NotFound(f"task {task} of the job has no artifact {name!r}")
        if not isinstance(destination, str | os.PathLike):
            return cls(destination, found[0].digest, None)
        path = Path(destination)
        return cls(_part_of(path).open("wb"), found[0].digest, path)

    def restart(self) -> None:
        """Begin anew."""
        if self._size:
            self._file.seek(self._start)
            self._file.truncate()
        self._size, self._hash = 0, hashlib.sha256()

    def write(self, piece: bytes) -> None:
        """Take the next bytes."""
        self._file.write(piece)
        self._hash.update(piece)
        self._size += len(piece)

    def json(self) -> Any:
        """Return what the bytes say as JSON."""
        self._file.seek(self._start)
        return msgspec.json.decode(self._file.read())

    def finish(self) -> int:
        """Check the bytes, put them in their place and return their number. Raises Corrupt."""
        if self._digest is not None and self._hash.hexdigest() != self._digest:
            raise Corrupt(f"what came is not the artifact: its digest is not {self._digest}")
        self._file.flush()
        if self._path is not None:
            self._file.close()
            _part_of(self._path).replace(self._path)
        return self._size

    def close(self) -> None:
        """Leave nothing behind that is not complete."""
        if self._path is not None:
            self._file.close()
            _part_of(self._path).unlink(missing_ok=True)


def _part_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")
