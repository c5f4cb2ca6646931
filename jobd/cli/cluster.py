"""jobctl cluster: who takes part, how its consensus does, and who is to vote."""

from __future__ import annotations

from typing import Any, Final

import click

from jobd.cli.complete import NODE
from jobd.cli.node import node_id
from jobd.cli.output import (
    Column,
    heard,
    note,
    output_option,
    print_items,
    print_lines,
    print_one,
    table_lines,
)
from jobd.cli.session import Session, pass_session
from jobd.cli.watch import watch, watch_option

__all__ = ["cluster"]

_MEMBERS: Final[tuple[Column, ...]] = (
    ("ID", lambda item: item["id"]),
    ("NAME", lambda item: item["name"]),
    ("ROLE", lambda item: item["role"]),
    ("STATE", lambda item: item["state"]),
    ("HEARD", lambda item: heard(item["heard_ms"])),
    ("EXECUTED", lambda item: str(item["executed"])),
    ("LAG", lambda item: str(item["lag"])),
    ("ADDRESS", lambda item: item["address"]),
)
_KEYS: Final[tuple[Column, ...]] = (
    ("NAME", lambda item: item["name"]),
    ("CREATED", lambda item: item["created_at"]),
    ("KEY", lambda item: item["key"]),
)
_TOKENS: Final[tuple[Column, ...]] = (
    ("ID", lambda item: item["id"]),
    ("CREATED", lambda item: item["created_at"]),
    ("EXPIRES", lambda item: item["expires_at"]),
)


@click.group(invoke_without_command=True)
@watch_option
@output_option
@click.pass_context
def cluster(ctx: click.Context, watching: bool, form: str) -> None:
    """Show the cluster: its epoch, its members, and how its consensus does."""
    if ctx.invoked_subcommand is not None:
        return
    client = ctx.ensure_object(Session).client
    if watching:
        watch(client, form, "/cluster", {}, lines=_lines)
        return
    body = client.get("/cluster")
    if form == "table":
        print_lines(_lines(body))
    else:
        print_one(form, body, name="cluster")


@cluster.command()
@output_option
@pass_session
def members(session: Session, form: str) -> None:
    """List the members: the voters, and the nodes that follow them."""
    body = session.client.get("/cluster")
    if form in ("table", "wide", "name"):
        print_items(form, {"items": body["members"]}, kind="node", columns=_MEMBERS, key="name")
    else:
        print_one(form, body, name="cluster")


@cluster.command()
@click.argument("reference", metavar="NODE", type=NODE)
@output_option
@pass_session
def add(session: Session, reference: str, form: str) -> None:
    """Make a node that follows a voter; a new epoch begins."""
    body = {"node": node_id(session, reference)}
    made = session.client.request("POST", "/cluster/members", body=body).json
    if form == "table":
        note(f"node/{reference} votes from epoch {made['epoch']} on")
    else:
        print_one(form, made, name="cluster")


@cluster.command()
@click.argument("references", metavar="NODE…", type=NODE, nargs=-1, required=True)
@pass_session
def remove(session: Session, references: tuple[str, ...]) -> None:
    """Make voters followers, in a new epoch; forget nodes that are gone for good."""
    for reference in references:
        session.client.request("DELETE", f"/cluster/members/{node_id(session, reference)}")
        note(f"node/{reference} removed")


@cluster.group()
def token() -> None:
    """Make one-time tokens for nodes that are to join."""


@token.command("create")
@click.option("--ttl", default="1h", show_default=True, help="How long it is valid: 10m.")
@click.option("-q", "--quiet", is_flag=True, help="Print only the token.")
@output_option
@pass_session
def token_create(session: Session, ttl: str, quiet: bool, form: str) -> None:
    """Make a token that lets one empty node join. It is shown this once."""
    made = session.client.submit("/cluster/join-tokens", body={"ttl": ttl}).json
    if form == "table":
        click.echo(made["token"])
        if not quiet:
            note("  Start the node with it: `jobd start --join HOST:PORT --join-token TOKEN`.")
    else:
        print_one(form, made, name=f"join-token/{made['id']}")


@token.command("list")
@output_option
@pass_session
def token_list(session: Session, form: str) -> None:
    """List the tokens that were not used."""
    body = session.client.get("/cluster/join-tokens")
    print_items(form, body, kind="join-token", columns=_TOKENS)


@token.command("revoke")
@click.argument("ids", metavar="ID…", nargs=-1, required=True)
@pass_session
def token_revoke(session: Session, ids: tuple[str, ...]) -> None:
    """Revoke tokens."""
    for token_id in ids:
        session.client.request("DELETE", f"/cluster/join-tokens/{token_id}")
        note(f"join-token/{token_id} revoked")


@cluster.group()
def key() -> None:
    """Say which clients all nodes with keys let in at their cluster ports."""


@key.command("list")
@output_option
@pass_session
def key_list(session: Session, form: str) -> None:
    """List the clients that are let in."""
    body = session.client.get("/cluster/keys")
    print_items(form, body, kind="client-key", columns=_KEYS, key="name")


@key.command("put")
@click.argument("name")
@click.argument("key")
@pass_session
def key_put(session: Session, name: str, key: str) -> None:
    """Let a client in by the public KEY that `jobd keys new --client FILE` printed."""
    session.client.request("PUT", f"/cluster/keys/{name}", body={"key": key})
    note(f"client-key/{name} put")


@key.command("delete")
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
@pass_session
def key_delete(session: Session, names: tuple[str, ...]) -> None:
    """Let clients in no more; their links end within seconds."""
    for name in names:
        session.client.request("DELETE", f"/cluster/keys/{name}")
        note(f"client-key/{name} deleted")


def _lines(body: dict[str, Any]) -> list[str]:
    """Return the cluster for a person: a few lines, then its members."""
    quorums, consensus = body["quorums"], body["consensus"]
    reach = "yes" if body["reachable"] else f"not for {body['isolated_ms'] / 1000:.0f} s"
    names = {member["id"]: member["name"] for member in body["members"]}
    return [
        f"mode       {body['mode']}, epoch {body['epoch']} of {body['cluster'] or 'no cluster id'}",
        f"quorum     {quorums['slow']} of {quorums['voters']} voters"
        f" (fast path {quorums['fast']}), {quorums['tolerates']} may fail; reachable: {reach}",
        f"leader     {names.get(body['leader'], body['leader'])} (of recovery)",
        f"commands   {consensus['executed']} executed; {consensus['fast']} fast,"
        f" {consensus['slow']} slow, {consensus['recovered']} recovered by this node",
        f"stability  {consensus['stable_lag']} wait, the oldest for {consensus['unstable_ms']} ms",
        *([f"warning    {body['warning']}"] if body["warning"] else []),
        "",
        *table_lines(_MEMBERS, body["members"]),
    ]
