"""jobctl token: who may use the API."""

from __future__ import annotations

from typing import Final

import click

from jobd.cli.complete import TOKEN
from jobd.cli.output import Column, age, note, output_option, print_items, print_one
from jobd.cli.session import Session, pass_session

__all__ = ["token"]

SCOPES: Final = click.Choice(["read", "run", "write", "admin"])
_TOKENS: Final[tuple[Column, ...]] = (
    ("ID", lambda item: item["id"]),
    ("NAME", lambda item: item["name"]),
    ("SCOPES", lambda item: ",".join(item["scopes"])),
    ("AGE", lambda item: age(item["created_at"])),
    ("EXPIRES", lambda item: item["expires_at"] or "never"),
)


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
