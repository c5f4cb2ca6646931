"""jobctl status, node and cluster: the nodes, and who takes part."""

from __future__ import annotations

from typing import Any, Final

import click

from jobd.cli.complete import NODE
from jobd.cli.output import (
    Column,
    age,
    field_lines,
    output_option,
    print_items,
    print_one,
    table_lines,
)
from jobd.cli.session import Session, pass_session
from jobd.cli.watch import watch, watch_option

__all__ = ["cluster", "node", "status"]

_GIB: Final = 2**30
_NODES: Final[tuple[Column, ...]] = (
    ("ID", lambda item: item["id"]),
    ("NAME", lambda item: item["name"]),
    ("STATE", lambda item: item["state"]),
    ("SLOTS", lambda item: f"{item['slots_free']}/{item['slots_total']} free"),
    ("CPU", lambda item: f"{item['cpu_milli_free'] / 1000:g}/{item['cpu_milli_total'] / 1000:g}"),
    ("MEMORY", lambda item: _memory(item)),
    ("CONDITIONS", lambda item: ",".join(found["type"] for found in item["conditions"])),
    ("SINCE", lambda item: age(item["since"])),
)
_WIDE: Final[tuple[Column, ...]] = (
    ("VERSION", lambda item: item["version"]),
    ("EXECUTORS", lambda item: ",".join(item["executors"])),
    ("LABELS", lambda item: ",".join(f"{k}={v}" for k, v in item["labels"].items())),
)
_MEMBERS: Final[tuple[Column, ...]] = (
    ("ID", lambda item: item["id"]),
    ("NAME", lambda item: item["name"]),
    ("STATE", lambda item: item["state"]),
)


@click.command()
@watch_option
@output_option
@pass_session
def status(session: Session, watching: bool, form: str) -> None:
    """Show the node and how its jobs stand."""
    if watching:
        watch(session.client, form, "/status", {}, lines=lambda body: field_lines(form, body))
        return
    body = session.client.get("/status")
    print_one(form, body, name=f"node/{body['name']}")


@click.group()
def node() -> None:
    """Look at nodes."""


@node.command("list")
@watch_option
@output_option
@pass_session
def list_(session: Session, watching: bool, form: str) -> None:
    """List nodes with what they have free."""
    columns = [*_NODES, *_WIDE] if form == "wide" else _NODES
    if watching:
        rows = lambda body: table_lines(columns, body["items"])  # noqa: E731
        watch(session.client, form, "/nodes", {}, lines=rows)
    else:
        print_items(form, session.client.get("/nodes"), kind="node", columns=columns)


@node.command()
@click.argument("reference", metavar="NODE", type=NODE)
@watch_option
@output_option
@pass_session
def get(session: Session, reference: str, watching: bool, form: str) -> None:
    """Show a node. NODE is an id or a name."""
    nodes = session.client.get("/nodes")["items"]
    named = [item["id"] for item in nodes if reference == item["name"]]
    path = f"/nodes/{named[0] if named else reference}"
    if watching:
        watch(session.client, form, path, {}, lines=lambda body: field_lines(form, body))
    else:
        body = session.client.get(path)
        print_one(form, body, name=f"node/{body['name']}")


@click.group()
def cluster() -> None:
    """Look at who takes part."""


@cluster.command()
@output_option
@pass_session
def members(session: Session, form: str) -> None:
    """List the members: the nodes that vote."""
    body = session.client.get("/cluster")
    if form in ("table", "wide", "name"):
        print_items(form, {"items": body["members"]}, kind="node", columns=_MEMBERS, key="name")
    else:
        print_one(form, body, name="cluster")


def _memory(item: dict[str, Any]) -> str:
    return f"{item['memory_bytes_free'] / _GIB:.1f}/{item['memory_bytes_total'] / _GIB:.1f} GiB"
