"""Copies of files that others go on writing: links where a file is complete, bytes where it grows.

For the first step of a backup, which must be short. What is linked shares its blocks with the
original: it takes no room, and stays when the original is removed.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["copy_segments", "copy_start", "link"]

_CHUNK: Final = 1 << 20
# Another file system, one without links, or a file that has too many of them.
_NO_LINK: Final = frozenset({errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK})


def link(source: Path, dest: Path) -> None:
    """Give a complete file a second name, or copy it where links can't be had.

    A file that was removed meanwhile is left out: whoever removed it wanted that. Raises OSError.
    """
    dest.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        try:
            os.link(source, dest)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            shutil.copyfile(source, dest)


def copy_start(source: Path, dest: Path, size: int) -> None:
    """Copy the first `size` bytes of a file that only grows. Raises OSError."""
    dest.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileNotFoundError), source.open("rb") as original, dest.open("xb") as copy:
        while size > 0 and (part := original.read(min(size, _CHUNK))):
            copy.write(part)
            size -= len(part)


def copy_segments(segments: Sequence[Path], dest: Path) -> None:
    """Copy files of which only the last one still grows. Raises OSError."""
    for path in segments[:-1]:
        link(path, dest / path.name)
    for path in segments[-1:]:
        copy_start(path, dest / path.name, path.stat().st_size)
