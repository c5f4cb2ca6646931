"""jobctl store: the state of a stopped node's data directory. Local only, no node is asked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from actors.errors import JobdError
from jobd.cli.failure import CONFLICT, Failure
from jobd.cli.output import note
from jobd.cli.session import Session, pass_session

if TYPE_CHECKING:
    from jobd.node.data_directory import NodeDirectory

__all__ = ["stopped", "store"]

_ENGINES = click.Choice(["sqlite", "rocksdb"])


@click.group()
def store() -> None:
    """Move, export or import the state of a stopped node."""


@store.command()
@click.option("--to", "engine", type=_ENGINES, required=True, help="The engine to move to.")
@pass_session
def migrate(session: Session, engine: str) -> None:
    """Move the state to another engine; then start the node with `storage.engine` set to it."""
    with stopped(session) as directory:
        from jobd.node.wiring.stores import migrate_store

        keys = migrate_store(directory.path, engine)
    note(f"{keys} keys are in {engine} now; set storage.engine: {engine} before the next start")


@store.command()
@click.argument("file", type=click.File("wb"))
@pass_session
def export(session: Session, file: IO[bytes]) -> None:
    """Write the state as NDJSON to FILE (`-` is stdout)."""
    with stopped(session) as directory:
        from jobd.node.wiring.stores import export_store

        keys = export_store(directory.path, file)
    note(f"{keys} keys exported")


@store.command(name="import")
@click.argument("file", type=click.File("rb"))
@click.option("--engine", type=_ENGINES, default="sqlite", show_default=True)
@pass_session
def import_(session: Session, file: IO[bytes], engine: str) -> None:
    """Read an export from FILE (`-` is stdin) into a new data directory."""
    with stopped(session) as directory:
        from jobd.node.wiring.stores import import_store

        keys = import_store(directory.path, file, engine)
    note(f"{keys} keys imported into {engine}")


@contextmanager
def stopped(session: Session) -> Iterator[NodeDirectory]:
    """Hold the data directory's lock, so that no node uses it meanwhile."""
    from jobd.node.data_directory import NodeDirectory, new_node_id

    os.umask(0o077)  # as the node does
    path = Path(session.data or os.environ.get("JOBD_DATA") or "jobd-data")
    try:
        directory = NodeDirectory.open(path, new_id=new_node_id())
        try:
            yield directory
        finally:
            directory.close()
    except JobdError as error:
        raise Failure(error.message, remedy=error.remedy, exit_code=CONFLICT) from None
