"""jobctl secret: values for jobs that nobody reads back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final
from urllib.parse import quote

import click

from jobd.cli.complete import SECRET
from jobd.cli.failure import USAGE, Failure
from jobd.cli.output import Column, age, note, output_option, print_items
from jobd.cli.session import Session, pass_session

__all__ = ["secret"]

BYTES: Final = "application/octet-stream"
_COLUMNS: Final[tuple[Column, ...]] = (
    ("NAME", lambda item: item["name"]),
    ("REVISION", lambda item: str(item["revision"])),
    ("UPDATED", lambda item: age(item["updated_at"])),
)


@click.group()
def secret() -> None:
    """Keep secrets for jobs: put by name, never shown."""


@secret.command("put")
@click.argument("name", type=SECRET)
@click.option("--from-file", "file", metavar="FILE", help="The file's bytes, as they are.")
@click.option("--if-match", type=int, metavar="REVISION", help="Only if it is at this revision.")
@click.option("--create", is_flag=True, help="Only if there is none yet.")
@pass_session
def put_secret(
    session: Session, name: str, file: str | None, if_match: int | None, create: bool
) -> None:
    """Put a secret; prints its revision.

    Its value comes from --from-file, from stdin, or on a terminal from a prompt. It is never an
    argument: every user of the machine can read those. A line end behind it is kept.
    """
    headers = {"Content-Type": BYTES}
    if if_match is not None:
        headers["If-Match"] = f'"{if_match}"'
    if create:
        headers["If-None-Match"] = "*"
    answer = session.client.request("PUT", _path(name), body=_value(name, file), headers=headers)
    click.echo(answer.json["revision"])


@secret.command("list")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--cursor", help="Go on behind a page.")
@output_option
@pass_session
def list_secrets(session: Session, limit: int, cursor: str | None, form: str) -> None:
    """List the names of the secrets."""
    body = session.client.get("/secrets", limit=limit, cursor=cursor)
    print_items(form, body, kind="secret", columns=_COLUMNS, key="name")


@secret.command("delete")
@click.argument("name", type=SECRET)
@click.option("--if-match", type=int, metavar="REVISION", help="Only if it is at this revision.")
@pass_session
def delete_secret(session: Session, name: str, if_match: int | None) -> None:
    """Delete a secret; what runs with it goes on."""
    headers = {} if if_match is None else {"If-Match": f'"{if_match}"'}
    session.client.request("DELETE", _path(name), headers=headers)
    note(f"secret/{name} deleted")


def _value(name: str, file: str | None) -> bytes:
    if file is not None:
        try:
            return Path(file).read_bytes()
        except OSError as e:
            raise Failure(f"{file}: {e.strerror}", exit_code=USAGE) from None
    if not sys.stdin.isatty():
        return sys.stdin.buffer.read()
    typed: str = click.prompt(
        f"Value of {name}", hide_input=True, confirmation_prompt=True, err=True
    )
    return typed.encode()


def _path(name: str) -> str:
    return f"/secrets/{quote(name, safe='')}"
