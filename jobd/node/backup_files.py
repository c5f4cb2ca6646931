"""A backup on disk: a directory of files, and the manifest that names each of them.

    manifest.json    what it is of, and path, size and sha256 of everything else
    state.sqlite     the image of the state (or state.rocksdb/)
    events/ joblogs/ artifacts/ history/ keys/    as in a data directory

Rules:
1. A backup gets its name when it is whole and durable; until then it is `<name>.part`.
2. What the manifest does not name, or not so, is refused, naming the file. The checksums are
   against accidents: who can write the backup can write a manifest.
3. Nothing but plain files is copied, no link is followed, no path leads out.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

import msgspec

from actors.errors import Corrupt, DataDirectory, ReadOnly

__all__ = [
    "ORIGIN",
    "Manifest",
    "Origin",
    "Progress",
    "check_files",
    "holding",
    "read_manifest",
    "remove_staged",
    "restore_files",
    "save",
    "staging",
    "take_origin",
]

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
ORIGIN: Final = "origin.json"
_CHUNK: Final = 1 << 20
_SPARE_BYTES: Final = 64 << 20  # left free on the disk that is copied to
_REMEDY: Final = "this backup is of no use: take another one"

Progress = Callable[[int], None]  # bytes done since the last call


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is of: which cluster and node, at which revision and time."""

    format: int = FORMAT
    version: str  # of JobD
    cluster: str
    node: str
    engine: str  # of the state image
    applied_index: int
    revision: int
    digest: str  # of the state image
    made_ms: int


class BackedUp(msgspec.Struct, frozen=True):
    """One file of a backup."""

    path: str  # relative, with slashes
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """All of a backup but the manifest; `sha256` is of the rest of the manifest."""

    origin: Origin
    files: tuple[BackedUp, ...]
    sha256: str = ""

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(file.bytes for file in self.files)


def staging(data: Path) -> Path:
    """Return the directory in which backups of a data directory are staged."""
    return data / "backups"


def remove_staged(data: Path) -> bool:
    """Remove what earlier backups left in a data directory; False when one is being copied."""
    left = list(staging(data).iterdir()) if staging(data).exists() else []
    held = []
    for path in left:
        try:
            with _locked(path, fcntl.LOCK_EX):
                shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            held.append(path)
    return not held


@contextmanager
def holding(staged: Path) -> Iterator[None]:
    """Have what was staged stay while it is copied, also from a node that starts again."""
    with _locked(staged, fcntl.LOCK_SH):
        yield


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    """Hold a lock on a directory, which ends with this process. Raises BlockingIOError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
        yield
    finally:
        os.close(fd)


def take_origin(staged: Path) -> Origin:
    """Take out the note of what was staged: what else is there is the backup."""
    file = staged / ORIGIN
    origin = msgspec.json.decode(file.read_bytes(), type=Origin)
    file.unlink()
    return origin


def save(staged: Path, dest: Path, origin: Origin, progress: Progress) -> Manifest:
    """Copy what was staged to `dest`, whole and durable when this returns.

    Raises ReadOnly when there is no room, OSError.
    """
    paths = list(_tree(staged))
    dest.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _need_room(dest.parent, sum((staged / path).stat().st_size for path in paths))
    part = dest.with_name(f"{dest.name}.part")
    if part.exists():
        shutil.rmtree(part)
    part.mkdir(mode=0o700)
    files = tuple(_copy(staged / path, part / path, str(path), progress) for path in paths)
    manifest = _signed(Manifest(origin, files))
    text = msgspec.json.format(msgspec.json.encode(manifest))
    with _create(part / MANIFEST) as file:
        file.write(text)
        _sync(file)
    _sync_directories(part)
    part.rename(dest)
    _sync_directory(dest.parent)
    return manifest


def read_manifest(backup: Path) -> Manifest:
    """Return the manifest of a backup. Raises DataDirectory (none, a newer format), Corrupt."""
    file = backup / MANIFEST
    try:
        text = file.read_bytes()
    except OSError as error:
        raise DataDirectory(
            f"{backup} is no whole backup: {MANIFEST}: {error.strerror}",
            remedy="name the directory that `jobctl backup create` printed",
        ) from None
    try:
        form = msgspec.json.decode(text, type=_Form).origin.format
        if form > FORMAT:
            raise DataDirectory(
                f"{file} has format {form}, this JobD reads format {FORMAT}",
                remedy="restore it with the JobD version that made it, or a newer one",
            )
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"{file} is damaged: {error}", remedy=_REMEDY) from None
    if manifest != _signed(manifest):
        raise Corrupt(f"{file} is damaged: its checksum does not hold", remedy=_REMEDY)
    for entry in manifest.files:
        path = PurePosixPath(entry.path)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise Corrupt(f"{file} names {entry.path!r}, which leads out", remedy=_REMEDY)
    return manifest


class _Version(msgspec.Struct):
    format: int


class _Form(msgspec.Struct):
    """As much of a manifest as every format has."""

    origin: _Version


def check_files(backup: Path, manifest: Manifest, progress: Progress) -> None:
    """Compare every file with the manifest. Raises Corrupt naming the first that differs."""
    _check_names(backup, manifest)
    for entry in manifest.files:
        path = backup / entry.path
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while part := file.read(_CHUNK):
                digest.update(part)
                progress(len(part))
        _check(path, entry, BackedUp(entry.path, path.stat().st_size, digest.hexdigest()))


def restore_files(backup: Path, manifest: Manifest, data: Path, progress: Progress) -> None:
    """Copy every file into a data directory, each checked while it is read, and make them durable.

    Raises Corrupt naming the file, ReadOnly when there is no room, OSError.
    """
    _check_names(backup, manifest)
    _need_room(data, manifest.bytes)
    for entry in manifest.files:
        path = backup / entry.path
        _check(path, entry, _copy(path, data / entry.path, entry.path, progress))
    _sync_directories(data)


def _check_names(backup: Path, manifest: Manifest) -> None:
    found = {str(path) for path in _tree(backup)} - {MANIFEST}
    named = {entry.path for entry in manifest.files}
    for path in sorted(named - found):
        raise Corrupt(f"{backup / path} is missing", remedy=_REMEDY)
    for path in sorted(found - named):
        raise Corrupt(
            f"{backup / path} is not in the manifest",
            remedy="remove what was added to the backup, if you know what it is",
        )


def _check(path: Path, wanted: BackedUp, found: BackedUp) -> None:
    if found != wanted:
        what = "size" if found.bytes != wanted.bytes else "sha256"
        raise Corrupt(
            f"{path} is damaged: its {what} is not what the manifest says", remedy=_REMEDY
        )


def _signed(manifest: Manifest) -> Manifest:
    body = msgspec.json.encode(msgspec.structs.replace(manifest, sha256=""))
    return msgspec.structs.replace(manifest, sha256=hashlib.sha256(body).hexdigest())


def _tree(root: Path) -> Iterator[PurePosixPath]:
    """Yield the files below a directory, in order. Raises Corrupt for what is no plain file."""
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted([*names, *(f for f in folders if Path(folder, f).is_symlink())]):
            path = Path(folder, name)
            if path.is_symlink() or not path.is_file():
                raise Corrupt(f"{path} is no plain file", remedy=_REMEDY)
            yield PurePosixPath(path.relative_to(root).as_posix())


def _copy(source: Path, dest: Path, name: str, progress: Progress) -> BackedUp:
    dest.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as original, _create(dest) as copy:
        while part := original.read(_CHUNK):
            digest.update(part)
            copy.write(part)
            size += len(part)
            progress(len(part))
        _sync(copy)
    return BackedUp(name, size, digest.hexdigest())


def _create(path: Path) -> BinaryIO:
    """Open a new file that is nobody else's: keys and output are among what is copied."""
    return open(path, "xb", opener=partial(os.open, mode=0o600))


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _need_room(directory: Path, needed: int) -> None:
    free = shutil.disk_usage(directory).free
    if free < needed + _SPARE_BYTES:
        raise ReadOnly(
            f"{directory} has {free >> 20} MiB free, {(needed + _SPARE_BYTES) >> 20} are needed",
            remedy="free some space, or name a directory on another disk",
        )


def _sync_directories(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        _sync_directory(Path(folder))


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
