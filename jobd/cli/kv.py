"""jobctl kv: users' values."""

from __future__ import annotations

import sys
from typing import Final
from urllib.parse import quote

import click

from jobd.cli.complete import KV
from jobd.cli.failure import USAGE, Failure
from jobd.cli.job_spec import read_argument
from jobd.cli.output import Column, note, output_option, print_items
from jobd.cli.session import Session, pass_session

__all__ = ["kv"]

BYTES: Final = "application/octet-stream"
_KEYS: Final[tuple[Column, ...]] = (
    ("KEY", lambda item: item["key"]),
    ("REVISION", lambda item: str(item["revision"])),
    ("BYTES", lambda item: str(item["size_bytes"])),
)


@click.group()
def kv() -> None:
    """Keep values: NAMESPACE/KEY."""


@kv.command("get")
@click.argument("place", metavar="NAMESPACE/KEY", type=KV)
@pass_session
def get_value(session: Session, place: str) -> None:
    """Print a value's bytes."""
    sys.stdout.buffer.write(session.client.request("GET", _path(place)).body)
    sys.stdout.buffer.flush()


@kv.command("put")
@click.argument("place", metavar="NAMESPACE/KEY", type=KV)
@click.argument("value", metavar="VALUE|@FILE|@-")
@click.option("--if-match", type=int, metavar="REVISION", help="Only if it is at this revision.")
@click.option("--create", is_flag=True, help="Only if there is none yet.")
@pass_session
def put_value(session: Session, place: str, value: str, if_match: int | None, create: bool) -> None:
    """Put a value; prints its revision."""
    headers = {"Content-Type": BYTES}
    if if_match is not None:
        headers["If-Match"] = f'"{if_match}"'
    if create:
        headers["If-None-Match"] = "*"
    answer = session.client.request("PUT", _path(place), body=read_argument(value), headers=headers)
    click.echo(answer.json["revision"])


@kv.command("delete")
@click.argument("place", metavar="NAMESPACE/KEY", type=KV)
@click.option("--if-match", type=int, metavar="REVISION", help="Only if it is at this revision.")
@pass_session
def delete_value(session: Session, place: str, if_match: int | None) -> None:
    """Delete a value."""
    headers = {} if if_match is None else {"If-Match": f'"{if_match}"'}
    session.client.request("DELETE", _path(place), headers=headers)
    note(f"{place} deleted")


@kv.command("list")
@click.argument("namespace")
@click.option("--prefix", default="", help="Only keys that begin so.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--cursor", help="Go on behind a page.")
@output_option
@pass_session
def list_values(
    session: Session, namespace: str, prefix: str, limit: int, cursor: str | None, form: str
) -> None:
    """List the keys of a namespace."""
    body = session.client.get(
        f"/kv/{quote(namespace, safe='')}", prefix=prefix, limit=limit, cursor=cursor
    )
    print_items(form, body, kind=f"kv/{namespace}", columns=_KEYS, key="key")


def _path(place: str) -> str:
    namespace, slash, key = place.partition("/")
    if not slash or not key:
        raise Failure(f"{place!r} is not NAMESPACE/KEY", exit_code=USAGE)
    return f"/kv/{quote(namespace, safe='')}/{quote(key)}"
