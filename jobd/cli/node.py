"""jobctl status, token and api: the node itself, who may use it, and any route of it."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, urlsplit

import click

from jobd.cli.complete import TOKEN
from jobd.cli.failure import USAGE, Failure
from jobd.cli.job_spec import read_argument
from jobd.cli.output import (
    Column,
    age,
    field_lines,
    note,
    output_option,
    print_items,
    print_one,
    write_bytes,
)
from jobd.cli.session import Session, pass_session
from jobd.cli.watch import watch, watch_option

__all__ = ["api", "status", "token"]

SCOPES: Final = click.Choice(["read", "run", "write", "admin"])
_TOKENS: Final[tuple[Column, ...]] = (
    ("ID", lambda item: item["id"]),
    ("NAME", lambda item: item["name"]),
    ("SCOPES", lambda item: ",".join(item["scopes"])),
    ("AGE", lambda item: age(item["created_at"])),
    ("EXPIRES", lambda item: item["expires_at"] or "never"),
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
def token() -> None:
    """Mint, list and revoke access tokens."""


@token.command()
@click.argument("name")
@click.option("--scope", "scopes", type=SCOPES, multiple=True, required=True)
@click.option("--ttl", metavar="DURATION", help="Expires after this long: 30d.")
@output_option
@pass_session
def create(
    session: Session, name: str, scopes: tuple[str, ...], ttl: str | None, form: str
) -> None:
    """Mint a token; its text is printed this once."""
    body = {"name": name, "scopes": scopes} | ({"ttl": ttl} if ttl else {})
    made = session.client.request("POST", "/tokens", body=body).json
    if form == "table":
        click.echo(made["token"])
    else:
        print_one(form, made, name=f"token/{made['id']}")


@token.command("list")
@output_option
@pass_session
def list_(session: Session, form: str) -> None:
    """List tokens, without their secrets."""
    print_items(form, session.client.get("/tokens"), kind="token", columns=_TOKENS)


@token.command()
@click.argument("token_id", metavar="ID", type=TOKEN)
@pass_session
def revoke(session: Session, token_id: str) -> None:
    """Revoke a token by its id."""
    session.client.request("DELETE", f"/tokens/{token_id}")
    note(f"token/{token_id} revoked")


@click.command()
@click.argument("method")
@click.argument("path", metavar="PATH[?QUERY]")
@click.option("-d", "--data", metavar="BODY|@FILE|@-", help="The body.")
@click.option(
    "-H", "--header", "headers", multiple=True, metavar="NAME: VALUE", help="A further header."
)
@pass_session
def api(
    session: Session, method: str, path: str, data: str | None, headers: tuple[str, ...]
) -> None:
    """Send any request: `jobctl api GET /jobs?state=failed`. Prints the body."""
    sent = {"Content-Type": "application/json"} if data is not None else {}
    for text in headers:
        name, colon, value = text.partition(":")
        if not colon:
            raise Failure(f"-H takes NAME: VALUE, not {text!r}", exit_code=USAGE)
        sent[name.strip().title()] = value.strip()
    parts = urlsplit(path)
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        query.setdefault(name, []).append(value)
    answer = session.client.request(
        method.upper(),
        parts.path,
        query=query,
        body=None if data is None else read_argument(data),
        headers=sent,
    )
    write_bytes(answer.body)
