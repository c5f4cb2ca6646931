"""jobctl actor: the live actors of a node."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import click

from jobd.cli.complete import ACTOR, NODE
from jobd.cli.node import node_id
from jobd.cli.output import Column, output_option, print_items, print_one
from jobd.cli.session import Session, pass_session

__all__ = ["actor"]

_COLUMNS: Final[tuple[Column, ...]] = (
    ("ADDRESS", lambda item: item["address"]),
    ("STATE", lambda item: item["state"]),
    ("MAILBOX", lambda item: str(item["mailbox"])),
    ("HANDLED", lambda item: str(item["handled"])),
    ("RATE", lambda item: f"{item['rate']:.1f}/s"),
    ("BUSY", lambda item: f"{item['handler_s']:.1f}s"),
    ("RESTARTS", lambda item: str(item["restarts"])),
)
_WIDE: Final[tuple[Column, ...]] = (
    ("CLASS", lambda item: item["class"]),
    ("LAST ERROR", lambda item: item["last_error"] or ""),
)


_node_option = click.option(
    "--node", type=NODE, help="Another node than the one that answers: its id or name."
)


@click.group()
def actor() -> None:
    """Look at a node's actors."""


def _id(session: Session, reference: str | None) -> str | None:
    return None if reference is None else node_id(session, reference)


@actor.command("list")
@click.option("--prefix", default="", help="Only addresses that begin so: /slot.")
@click.option("--limit", type=click.IntRange(1, 500), default=500, show_default=True)
@click.option("--cursor", help="Go on behind a page; its next_cursor is in -o json.")
@_node_option
@output_option
@pass_session
def list_(
    session: Session,
    prefix: str,
    limit: int,
    cursor: str | None,
    node: str | None,
    form: str,
) -> None:
    """List actors with their mailboxes, rates and restarts."""
    query = {"prefix": prefix, "limit": limit, "cursor": cursor, "node": _id(session, node)}
    body = session.client.get("/actors", **query)
    print_items(form, body, kind="actor", columns=_COLUMNS, wide=_WIDE, key="address")


@actor.command()
@click.argument("address", type=ACTOR)
@_node_option
@output_option
@pass_session
def get(session: Session, address: str, node: str | None, form: str) -> None:
    """Show an actor by its address: /scheduler."""
    path = f"/actors/{quote(address.lstrip('/'))}"
    body = session.client.get(path, node=_id(session, node))
    print_one(form, body, name=f"actor{body['address']}")
