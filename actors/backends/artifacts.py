"""Artifacts: outputs too large for a record, one file each, named by the sha256 of its content."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Final

from actors.errors import InvalidInput

__all__ = ["Artifacts"]

_DIGEST_RE: Final = re.compile(r"[0-9a-f]{64}")


class Artifacts:
    """The artifacts of one node, under `<data>/artifacts/<first two hex digits>/<digest>`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def take(self, path: Path) -> str:
        """Move a file in and return its sha256; the same content is kept once."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        dest = self._path(digest)
        dest.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.replace(dest)
        # The finish transaction that names it is durable right after: so must be the file.
        for place, flags in ((dest, os.O_RDONLY), (dest.parent, os.O_RDONLY | os.O_DIRECTORY)):
            fd = os.open(place, flags)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        return digest

    def path(self, digest: str) -> Path | None:
        """Return the file of a digest, or None. Raises InvalidInput for what is no digest."""
        file = self._path(digest)
        return file if file.is_file() else None

    def delete(self, digest: str) -> None:
        """Forget a digest."""
        self._path(digest).unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        if _DIGEST_RE.fullmatch(digest) is None:
            raise InvalidInput(f"{digest!r} is not a sha256 in hex")
        return self._root / digest[:2] / digest
