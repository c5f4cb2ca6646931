"""`jobd keys`: the key pair of a node or a client, and the list of whom a node lets in."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from actors.errors import JobdError, NotFound

__all__ = ["keys"]

_CONFIG: Final = 78  # sysexits.h
_DATA: Final = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="The node's data directory.  [default: JOBD_DATA, or ./jobd-data]",
)
_CLIENT: Final = click.option(
    "--client", type=click.Path(path_type=Path), metavar="FILE", help="A client's key file instead."
)


def _reported(command: Callable[..., None]) -> Callable[..., None]:
    """Have a command say its errors as the others do: one line of cause, one of remedy."""

    @functools.wraps(command)
    def run(**options: Any) -> None:
        try:
            command(**options)
        except JobdError as error:
            click.echo(f"jobd: {error.message}", err=True)
            if error.remedy:
                click.echo(f"      {error.remedy}", err=True)
            sys.exit(_CONFIG)

    return run


def _folder(data: Path | None) -> Path:
    return data or Path(os.environ.get("JOBD_DATA") or "jobd-data")


@click.group()
def keys() -> None:
    """Make and show keys of the cluster port, and say whose it takes.

    A node without keys listens on loopback only. One that has keys takes nobody without.
    """


@keys.command()
@_DATA
@_CLIENT
@_reported
def new(data: Path | None, client: Path | None) -> None:
    """Make a key pair and print its public part. A node takes it up at its next start."""
    from actors.runtime.key_file import make_key_file
    from jobd.node.link_keys import LinkKeys

    made = make_key_file(client) if client is not None else LinkKeys(_folder(data)).make()
    click.echo(made.public.hex())


@keys.command()
@_DATA
@_CLIENT
@_reported
def show(data: Path | None, client: Path | None) -> None:
    """Print the public key, which is no secret."""
    from actors.runtime.key_file import read_key_file
    from jobd.node.link_keys import LinkKeys

    own = read_key_file(client) if client is not None else LinkKeys(_folder(data)).own()
    if own is None:
        raise NotFound(
            f"there is no key in {client or _folder(data)}", remedy="`jobd keys new` makes one"
        )
    click.echo(own.public.hex())


@keys.command("list")
@_DATA
@_reported
def list_allowed(data: Path | None) -> None:
    """List whom the node lets in, besides the nodes of its cluster and this machine's clients."""
    from jobd.node.link_keys import LinkKeys

    for each in LinkKeys(_folder(data)).allowed():
        click.echo(f"{each.role:6}  {each.name}  {each.key.hex()}")


@keys.command()
@click.argument("role", type=click.Choice(["node", "client"]))
@click.argument("name")
@click.argument("key")
@_DATA
@_reported
def allow(role: str, name: str, key: str, data: Path | None) -> None:
    """Let in who comes with a KEY, as a node or a client by this NAME."""
    from actors.runtime.curve import key_of_text
    from jobd.node.link_keys import LinkKeys

    LinkKeys(_folder(data)).allow(role, name, key_of_text(key))


@keys.command()
@click.argument("name")
@_DATA
@_reported
def remove(name: str, data: Path | None) -> None:
    """Let a NAME in no more; its links end within seconds."""
    from jobd.node.link_keys import LinkKeys

    LinkKeys(_folder(data)).remove(name)
