"""jobctl backup: copies of a node's data that another data directory can go on from.

Local: a backup is made of the node of this machine, running or not. No node is asked to verify or
to restore one.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from actors.errors import Conflict, DataDirectory, JobdError
from jobd.cli.failure import CONFLICT, SERVER_ERROR, UNREACHABLE, Failure
from jobd.cli.output import moment, note
from jobd.cli.progress import StatusLine
from jobd.cli.session import Session, pass_session
from jobd.cli.store import stopped

if TYPE_CHECKING:
    from jobd.node.backup_files import Manifest, Origin, Progress

__all__ = ["backup"]

_TELL_EVERY_S: Final = 0.1
_BACKUP: Final = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group()
def backup() -> None:
    """Back a node's data up, check a backup, begin anew from one."""


@backup.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@pass_session
def create(session: Session, directory: Path) -> None:
    """Make a backup of this machine's node in DIRECTORY, and print its path.

    It is named after its revision. A running node goes on meanwhile; what its running attempts have
    written so far is not in the backup.
    """
    from jobd.node.backup_files import save

    os.umask(0o077)
    with _errors(), _staged(session) as (source, origin):
        dest = directory / f"jobd-{origin.revision}"
        if dest.exists():
            note("nothing has changed since this backup was made")
        else:
            with _progress("copying", _size(source)) as progress:
                manifest = save(source, dest, origin, progress)
            note(_told(manifest))
    click.echo(dest)


@backup.command()
@click.argument("backup", type=_BACKUP)
def verify(backup: Path) -> None:
    """Check every file of a backup, and every row of its state."""
    from jobd.node.backup_files import check_files, read_manifest

    with _errors():
        manifest = read_manifest(backup)
        with _progress("checking", manifest.bytes) as progress:
            check_files(backup, manifest, progress)
        from jobd.node.wiring.backup import check_state

        rows = check_state(backup, manifest.origin)
    note(f"{_told(manifest)}, {rows} keys: whole")


@backup.command()
@click.argument("backup", type=_BACKUP)
@pass_session
def restore(session: Session, backup: Path) -> None:
    """Fill an empty data directory (--data) from a backup.

    It becomes a new node's, of a new cluster. Attempts that ran when the backup was made are lost,
    under the rules of their jobs.
    """
    from jobd.node.backup_files import read_manifest
    from jobd.node.wiring.backup import restore as restore_to

    os.umask(0o077)
    data = _data_of(session)
    with _errors():
        manifest = read_manifest(backup)
        with _progress("restoring", manifest.bytes) as progress:
            revision = restore_to(
                backup, data, now_ms=time.time_ns() // 1_000_000, progress=progress
            )
    note(f"{_told(manifest)}: restored, goes on at revision {revision}")
    note(f"start it with `jobd start --data {data}`")


@contextmanager
def _staged(session: Session) -> Iterator[tuple[Path, Origin]]:
    """Have what is to be copied staged: by the node, or, when none runs, by ourselves."""
    try:
        staged = session.client.request("POST", "/backups").json
    except Failure as failure:
        data = _data_of(session)
        if failure.exit_code != UNREACHABLE or not (data / "format").exists():
            raise
        with stopped(session) as directory:
            from jobd.node.wiring.backup import stage_stopped

            path = stage_stopped(directory, time.time_ns() // 1_000_000)
            with _taken(path) as found:
                yield found
        return
    path = Path(staged["path"])
    if not path.is_dir():
        raise Failure(
            f"the node's data is not on this machine: there is no {path}",
            remedy="Run `jobctl backup create` where the node runs.",
            exit_code=CONFLICT,
        )
    with _taken(path) as found:
        yield found


@contextmanager
def _taken(staged: Path) -> Iterator[tuple[Path, Origin]]:
    """Remove what was staged once it is copied."""
    from jobd.node.backup_files import holding, take_origin

    with holding(staged):
        try:
            yield staged, take_origin(staged)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def _data_of(session: Session) -> Path:
    return Path(session.data or os.environ.get("JOBD_DATA") or "jobd-data")


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def _told(manifest: Manifest) -> str:
    origin = manifest.origin
    return (
        f"revision {origin.revision} of {moment(origin.made_ms)}, "
        f"{len(manifest.files)} files, {manifest.bytes / 2**20:.1f} MiB"
    )


@contextmanager
def _progress(doing: str, length: int) -> Iterator[Progress]:
    """Say on a terminal how far it is; nothing elsewhere."""
    line, done, told_at = StatusLine(), 0, 0.0

    def advance(count: int) -> None:
        nonlocal done, told_at
        done += count
        if line.on and time.monotonic() - told_at > _TELL_EVERY_S:
            told_at = time.monotonic()
            line.show(f"{doing} {done / 2**20:.0f} of {length / 2**20:.0f} MiB")

    try:
        yield advance
    finally:
        line.close()


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except JobdError as error:
        yours = isinstance(error, Conflict | DataDirectory)
        code = CONFLICT if yours else SERVER_ERROR
        raise Failure(error.message, remedy=error.remedy, exit_code=code) from None
    except OSError as error:
        raise Failure(
            f"{error.filename or 'the backup'}: {error.strerror}",
            remedy="Mend its owner and permissions, or name another place.",
        ) from None
