"""The spool: what a job supervisor keeps of each attempt on disk.

    <data>/spool/<job>.<task>.<n>/
        intent            JSON lines: Intent before the spawn, then Spawned
        <first seq>.chunk log records (actors/core/log_record.py)
        input.json        the input, if there is one
        output            what the job wrote to $JOBD_OUTPUT
        work/             the job's working directory, if it asked for no other
        exit              JSON [version, ExitRecord], written and renamed

A forgotten directory is kept in `.spare/` and used again, with its files: ext4 walks past every
inode that was deleted in the last seconds to find a new one, so making and removing five per
attempt costs more than spawning it (docs/internals/job-supervisor.md).

Nothing is fsynced: the spool must survive the death of processes, not of the machine. After a
power loss the boot id differs, and what has no exit record is lost in any case.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from actors.core.log_record import Torn, decode_record, line_count
from actors.core.supervisor_protocol import ExitRecord
from actors.errors import InvalidInput
from actors.limits import INLINE_OUTPUT_BYTES

__all__ = [
    "CHUNK_SUFFIX",
    "PASSABLE",
    "Intent",
    "Spawned",
    "Spool",
    "attempt_of",
    "chunk_name",
    "chunks_behind",
    "chunks_of",
    "directory_name",
    "last_line",
    "logged_seq",
    "read_exit",
    "write_whole",
]

CHUNK_SUFFIX: Final = ".chunk"
VERSION: Final = 1
_KEY: Final = re.compile(r"attempt/[A-Za-z0-9_-]{1,64}/[0-9]{1,6}/[0-9]{1,9}")
_BLOCK: Final = 64 * 1024
PASSABLE: Final = 0o711  # where a job of another user must pass to what is its own
_SPARES: Final = 64  # directories kept for use again


class Intent(msgspec.Struct, frozen=True):
    """Who registered an attempt."""

    version: int
    attempt: str
    fence: int
    instance: str
    boot_id: str


class Spawned(msgspec.Struct, frozen=True):
    """The process that it became, and its cgroup if it got one."""

    pid: int
    start_ticks: int
    group: str | None


def directory_name(attempt: str) -> str:
    """Return the name of an attempt's directory. Raises InvalidInput for what is no attempt key."""
    if not _KEY.fullmatch(attempt):
        raise InvalidInput(f"{attempt[:100]!r} is not the key of an attempt")
    return attempt.removeprefix("attempt/").replace("/", ".")


def attempt_of(name: str) -> str | None:
    """Return the attempt key that a directory is named after, None if it is none."""
    key = "attempt/" + name.replace(".", "/")
    return key if _KEY.fullmatch(key) else None


def chunk_name(first_seq: int) -> str:
    """Return the name of the chunk that begins with this sequence number."""
    return f"{first_seq:012d}{CHUNK_SUFFIX}"


def chunks_of(directory: Path) -> list[tuple[int, Path]]:
    """Return (first seq, path) of a directory's chunks, in order."""
    return sorted(
        (int(path.stem), path)
        for path in directory.glob(f"*{CHUNK_SUFFIX}")
        if path.stem.isdecimal()
    )


def chunks_behind(directory: Path, seq: int) -> list[Path]:
    """Return a directory's chunks that reach beyond a sequence number, in order."""
    chunks = chunks_of(directory)
    begun = [first for first, _ in chunks if first <= seq]
    return [path for first, path in chunks if not begun or first >= begun[-1]]


def logged_seq(directory: Path) -> int:
    """Return the sequence number behind the last sound record of a directory's chunks."""
    chunks = chunks_of(directory)
    if not chunks:
        return 0
    seq, path = chunks[-1]
    data, offset = path.read_bytes(), 0
    while True:
        try:
            record, offset = decode_record(data, offset)
        except Torn:
            return seq
        seq = record.seq + line_count(record.data)


def read_exit(directory: Path) -> ExitRecord | None:
    """Return an attempt's exit record, None while there is none that can be read."""
    try:
        data = (directory / "exit").read_bytes()
        _, exit_record = msgspec.json.decode(data, type=tuple[int, ExitRecord])
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return exit_record


def last_line(directory: Path) -> tuple[bytes | None, int, str | None]:
    """Return the last non-empty line of `output` as (bytes, size, path).

    One of bytes and path is given: the path (of a file with that line alone) when the line is
    larger than `INLINE_OUTPUT_BYTES`; neither when there is no such line. Raises OSError.
    """
    source = directory / "output"
    try:
        fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None, 0, None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is not a regular file")
        start, end = _last_line_bounds(fd, status.st_size)
        if end - start <= INLINE_OUTPUT_BYTES:
            return os.pread(fd, end - start, start) or None, end - start, None
        line = directory / "output.line"
        with line.open("wb") as target:
            for offset in range(start, end, _BLOCK):
                target.write(os.pread(fd, min(_BLOCK, end - offset), offset))
        return None, end - start, str(line)
    finally:
        os.close(fd)


def _last_line_bounds(fd: int, size: int) -> tuple[int, int]:
    """Find the last line that is more than white space, reading backwards in blocks."""
    end = size
    while end > 0:
        block_start = max(0, end - _BLOCK)
        kept = len(os.pread(fd, end - block_start, block_start).rstrip())
        end = block_start + kept
        if kept:
            break
    start = end
    while start > 0:
        block_start = max(0, start - _BLOCK)
        newline = os.pread(fd, start - block_start, block_start).rfind(b"\n")
        if newline >= 0:
            return block_start + newline + 1, end
        start = block_start
    return start, end


def _restore(directory: str) -> bool:
    """Make an attempt's directories as they were; False when it left something or opened them.

    What a job of another user was given goes back first: the way through, and its `work`.
    """
    mode = os.lstat(directory).st_mode
    if mode == stat.S_IFDIR | PASSABLE:
        os.chmod(directory, 0o700)  # noqa: PTH101 - hot path
    elif mode != stat.S_IFDIR | 0o700:
        return False
    work = f"{directory}/work"
    try:
        if os.listdir(work):  # noqa: PTH208 - hot path
            return False
        status = os.lstat(work)
        if status.st_uid != os.geteuid():
            os.rmdir(work)  # noqa: PTH106
            return True
    except FileNotFoundError:
        return True  # it ran elsewhere
    except OSError:
        return False
    return status.st_mode == stat.S_IFDIR | 0o700


def _unique() -> str:
    return f"{os.getpid()}.{time.monotonic_ns()}"


def write_whole(fd: int, data: bytes) -> None:
    """Write to a regular file. Raises OSError also when a part was written: the disk is full."""
    if os.write(fd, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Spool:
    """The spool of one data directory, as its job supervisor uses it."""

    def __init__(self, data: Path) -> None:
        self.root = data / "spool"
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(PASSABLE)
        self._trash = self.root / ".trash"
        self._spare = self.root / ".spare"
        for left in (*self.root.glob(".trash.*"), self._spare):  # of an earlier instance
            if left.exists():
                self._discard(str(left))
        self._spare.mkdir(mode=0o700)
        self._spares: list[str] = []
        self._intents: dict[str, int] = {}

    def path(self, attempt: str) -> str:
        """Return an attempt's directory, as a string: paths are made on the hot path."""
        return f"{self.root}/{directory_name(attempt)}"

    def register(self, intent: Intent) -> None:
        """Make the attempt known. Raises OSError, after which it must not be spawned."""
        directory = self.path(intent.attempt)
        spare = self._spares.pop() if self._spares else None
        if spare is None:
            os.mkdir(directory, 0o700)  # noqa: PTH102 - hot path
        else:
            os.rename(spare, directory)  # noqa: PTH104 - it has neither intent nor exit
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        fd = os.open(f"{directory}/intent.new", flags, 0o600)
        self._intents[intent.attempt] = fd
        write_whole(fd, msgspec.json.encode(intent) + b"\n")
        os.rename(f"{directory}/intent.new", f"{directory}/intent")  # noqa: PTH104

    def spawned(self, attempt: str, spawned: Spawned | None) -> None:
        """Add what it became; None: nothing was spawned. Raises OSError."""
        fd = self._intents.pop(attempt)
        try:
            if spawned is not None:
                write_whole(fd, msgspec.json.encode(spawned) + b"\n")
        finally:
            os.close(fd)

    def record(self, attempt: str, exit_record: ExitRecord) -> None:
        """Write the exit record; whole or not at all. Raises OSError."""
        if attempt in self._intents:
            self.spawned(attempt, None)
        target = f"{self.path(attempt)}/exit"
        fd = os.open(target + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            write_whole(fd, msgspec.json.encode((VERSION, exit_record)))
        finally:
            os.close(fd)
        os.rename(target + ".new", target)  # noqa: PTH104 - hot path

    def forget(self, attempt: str) -> bool:
        """Remove an attempt's directory; True when something went to the trash.

        A working directory may hold a million files: what is not as it was made goes as a whole.
        """
        directory = self.path(attempt)
        if not os.path.isdir(directory):  # noqa: PTH112 - hot path
            return False
        if not _restore(directory):
            self._discard(directory)
            return True
        spare = f"{self._spare}/{directory.rpartition('/')[2]}"
        os.rename(directory, spare)  # noqa: PTH104 - from here on it is forgotten
        keep = len(self._spares) < _SPARES
        for name in os.listdir(spare):  # noqa: PTH208
            path = f"{spare}/{name}"
            if name == "work":
                if not keep:
                    os.rmdir(path)  # noqa: PTH106
            elif keep and name in ("intent", "exit"):
                os.rename(path, f"{path}.new")  # noqa: PTH104
                os.truncate(f"{path}.new", 0)  # an exit record may hold the job's output
            else:
                os.unlink(path)  # noqa: PTH108
        if keep:
            self._spares.append(spare)
        else:
            os.rmdir(spare)  # noqa: PTH106
        return False

    def _discard(self, directory: str) -> None:
        self._trash.mkdir(mode=0o700, exist_ok=True)
        os.rename(directory, f"{self._trash}/{_unique()}")  # noqa: PTH104

    def take_trash(self) -> Path | None:
        """Return a directory to remove with all below it; nothing is added to it any more."""
        taken = self.root / f".trash.{_unique()}"
        try:
            self._trash.rename(taken)
        except FileNotFoundError:
            return None
        return taken

    def found(self) -> Iterator[tuple[str, Path, Intent | None, Spawned | None]]:
        """Yield the attempts that an earlier instance left, with what can be read of them."""
        for directory in sorted(self.root.iterdir()):
            attempt = attempt_of(directory.name)
            if attempt is None:
                continue
            intent: Intent | None = None
            spawned: Spawned | None = None
            try:
                lines = (directory / "intent").read_bytes().splitlines()
                intent = msgspec.json.decode(lines[0], type=Intent)
                spawned = msgspec.json.decode(lines[1], type=Spawned)
            except (OSError, IndexError, msgspec.DecodeError):
                pass  # died while it wrote: what is there is what we know
            yield attempt, directory, intent, spawned
