"""jobctl status and node: the nodes, how they do, and what they are to do."""

from __future__ import annotations

import time
from typing import Any, Final

import click

from jobd.cli.complete import NODE
from jobd.cli.failure import USAGE, Failure
from jobd.cli.output import (
    Column,
    age,
    field_lines,
    heard,
    note,
    output_option,
    print_items,
    print_one,
    table_lines,
)
from jobd.cli.session import Session, pass_session
from jobd.cli.watch import watch, watch_option

__all__ = ["node", "node_id", "node_state", "status"]

_GIB: Final = 2**30
_LOOK_S: Final = 0.5  # between two looks at a node that drains
_NODES: Final[tuple[Column, ...]] = (
    ("ID", lambda item: item["id"]),
    ("NAME", lambda item: item["name"]),
    ("ROLE", lambda item: item["role"]),
    ("STATE", lambda item: node_state(item)),
    ("SLOTS", lambda item: f"{item['slots_free']}/{item['slots_total']} free"),
    ("CPU", lambda item: f"{item['cpu_milli_free'] / 1000:g}/{item['cpu_milli_total'] / 1000:g}"),
    ("MEMORY", lambda item: _memory(item)),
    ("CONDITIONS", lambda item: ",".join(found["type"] for found in item["conditions"])),
    ("SINCE", lambda item: age(item["since"])),
)
_WIDE: Final[tuple[Column, ...]] = (
    ("HEARD", lambda item: heard(item["heard_ms"])),
    ("VERSION", lambda item: item["version"]),
    ("EXECUTORS", lambda item: ",".join(item["executors"])),
    ("LABELS", lambda item: ",".join(f"{k}={v}" for k, v in item["labels"].items())),
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
    """Look at nodes, take them out of work and back."""


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
    path = f"/nodes/{node_id(session, reference)}"
    if watching:
        watch(session.client, form, path, {}, lines=lambda body: field_lines(form, body))
    else:
        body = session.client.get(path)
        print_one(form, body, name=f"node/{body['name']}")


@node.command()
@click.argument("reference", metavar="NODE", type=NODE)
@output_option
@pass_session
def cordon(session: Session, reference: str, form: str) -> None:
    """Have a node take no new work; what runs there goes on."""
    _change(session, reference, "cordon", form)


@node.command()
@click.argument("reference", metavar="NODE", type=NODE)
@output_option
@pass_session
def uncordon(session: Session, reference: str, form: str) -> None:
    """Have a node take work again; a drain that is under way ends."""
    _change(session, reference, "uncordon", form)


@node.command()
@click.argument("reference", metavar="NODE", type=NODE)
@click.option(
    "--mode",
    type=click.Choice(["finish", "requeue"]),
    default="finish",
    show_default=True,
    help="Let what runs end, or have it start elsewhere.",
)
@click.option("--deadline", metavar="DURATION", help="What still runs then is requeued: 10m.")
@click.option("--wait", "waits", is_flag=True, help="Until nothing runs there any more.")
@output_option
@pass_session
def drain(
    session: Session, reference: str, mode: str, deadline: str | None, waits: bool, form: str
) -> None:
    """Cordon a node and empty it."""
    _change(session, reference, "drain", form, {"mode": mode, "deadline": deadline}, waits=waits)


def _change(
    session: Session,
    reference: str,
    what: str,
    form: str,
    body: dict[str, Any] | None = None,
    *,
    waits: bool = False,
) -> None:
    path = f"/nodes/{node_id(session, reference)}"
    shown = session.client.request("POST", f"{path}/{what}", body=body).json
    while waits and shown["drain"] is not None and shown["drain"]["running"]:
        time.sleep(_LOOK_S)
        shown = session.client.wait(path)
    if form == "table":
        note(f"node/{shown['name']} {_stands(shown)}")
    else:
        print_one(form, shown, name=f"node/{shown['name']}")


def _stands(item: dict[str, Any]) -> str:
    if item["drain"] is not None:
        mode, until, running = (item["drain"][key] for key in ("mode", "deadline", "running"))
        until = f" until {until}" if until else ""
        return f"drains ({mode}{until}): {running} still run" if running else "is drained"
    return "is cordoned" if item["cordoned"] else "takes work"


def node_id(session: Session, reference: str) -> str:
    """Return the id that an id or a name stands for."""
    named = [
        item["id"] for item in session.client.get("/nodes")["items"] if reference == item["name"]
    ]
    if len(named) > 1:
        raise Failure(
            f"{len(named)} nodes are named {reference!r}",
            remedy="Give the id: `jobctl node list` shows them.",
            exit_code=USAGE,
        )
    return str(named[0]) if named else reference


def node_state(item: dict[str, Any]) -> str:
    """Return how a node stands: its session's state, and whether it takes work."""
    if item["state"] != "up" or not item["cordoned"]:
        return str(item["state"])
    if item["drain"] is None:
        return "cordoned"
    return "draining" if item["drain"]["running"] else "drained"


def _memory(item: dict[str, Any]) -> str:
    return f"{item['memory_bytes_free'] / _GIB:.1f}/{item['memory_bytes_total'] / _GIB:.1f} GiB"
