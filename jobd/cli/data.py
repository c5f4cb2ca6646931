"""jobctl kv and jobctl event: users' values, and what happens."""

from __future__ import annotations

import json
import sys
from typing import Any, Final
from urllib.parse import quote

import click

from jobd.cli.failure import USAGE, Failure
from jobd.cli.job_spec import read_argument
from jobd.cli.output import Column, note, output_option, print_items
from jobd.cli.session import Session, pass_session

__all__ = ["event", "kv"]

BYTES: Final = "application/octet-stream"
_KEYS: Final[tuple[Column, ...]] = (
    ("KEY", lambda item: item["key"]),
    ("REVISION", lambda item: str(item["revision"])),
    ("BYTES", lambda item: str(item["size_bytes"])),
)
_EVENTS: Final[tuple[Column, ...]] = (
    ("ID", lambda item: item["id"]),
    ("TIME", lambda item: item["time"]),
    ("TYPE", lambda item: item["type"]),
    ("SUBJECT", lambda item: item["subject"]),
    ("DATA", lambda item: json.dumps(item["data"], ensure_ascii=False)),
)


@click.group()
def kv() -> None:
    """Keep values: NAMESPACE/KEY."""


@kv.command("get")
@click.argument("place", metavar="NAMESPACE/KEY")
@pass_session
def get_value(session: Session, place: str) -> None:
    """Print a value's bytes."""
    sys.stdout.buffer.write(session.client.request("GET", _path(place)).body)
    sys.stdout.buffer.flush()


@kv.command("put")
@click.argument("place", metavar="NAMESPACE/KEY")
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
@click.argument("place", metavar="NAMESPACE/KEY")
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


@click.group()
def event() -> None:
    """Emit events, list and follow them."""


@event.command()
@click.argument("type_", metavar="TYPE")
@click.option("--subject", default="", help="What it is about.")
@click.option("--data", default="{}", metavar="JSON|@FILE", help="A JSON object.")
@pass_session
def emit(session: Session, type_: str, subject: str, data: str) -> None:
    """Emit an event of one's own; prints its id."""
    try:
        content = json.loads(read_argument(data))
    except ValueError as e:
        raise Failure(f"--data is no JSON: {e}", exit_code=USAGE) from None
    body = {"type": type_, "subject": subject, "data": content}
    click.echo(session.client.request("POST", "/events", body=body).json["id"])


@event.command("list")
@click.option("--type", "types", multiple=True, metavar="GLOB", help="Only such types.")
@click.option("--subject", help="Only those about this.")
@click.option("--after", metavar="ID", help="Only later ones.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@output_option
@pass_session
def list_events(
    session: Session,
    types: tuple[str, ...],
    subject: str | None,
    after: str | None,
    limit: int,
    form: str,
) -> None:
    """List events in order."""
    body = session.client.get("/events", types=types, subject=subject, after=after, limit=limit)
    print_items(form, body, kind="event", columns=_EVENTS)
    if body["gap"]:
        note("jobctl: older events are no longer kept")


@event.command()
@click.option("--type", "types", multiple=True, metavar="GLOB", help="Only such types.")
@click.option("--subject", help="Only those about this.")
@click.option("--after", metavar="ID", help="Begin behind this one; without it, now.")
@output_option
@pass_session
def tail(
    session: Session, types: tuple[str, ...], subject: str | None, after: str | None, form: str
) -> None:
    """Follow events until Ctrl-C; with -o json one object a line."""
    query: dict[str, Any] = {"types": types, "subject": subject, "after": after}
    for name, _, data in session.client.stream("/events/stream", query):
        if name == "gap":
            note("jobctl: some events are no longer kept")
        elif form in ("json", "yaml"):
            click.echo(json.dumps(data, ensure_ascii=False))
        elif form == "name":
            click.echo(f"event/{data['id']}")
        else:
            click.echo("  ".join(value(data) for _, value in _EVENTS))


def _path(place: str) -> str:
    namespace, slash, key = place.partition("/")
    if not slash or not key:
        raise Failure(f"{place!r} is not NAMESPACE/KEY", exit_code=USAGE)
    return f"/kv/{quote(namespace, safe='')}/{quote(key)}"
