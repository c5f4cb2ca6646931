"""jobctl event: what happens, and events of one's own."""

from __future__ import annotations

import json
import os
from typing import Any, Final

import click

from jobd.cli.client import Client
from jobd.cli.failure import USAGE, Failure
from jobd.cli.job_spec import read_argument
from jobd.cli.output import Column, note, output_option, print_items
from jobd.cli.session import Session, pass_session

__all__ = ["event", "print_events", "tail_events"]

_EVENTS: Final[tuple[Column, ...]] = (
    ("ID", lambda item: item["id"]),
    ("TIME", lambda item: item["time"]),
    ("TYPE", lambda item: item["type"]),
    ("SUBJECT", lambda item: item["subject"]),
    ("DATA", lambda item: json.dumps(item["data"], ensure_ascii=False)),
)


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
    job = os.environ.get("JOBD_JOB_ID")
    headers = {"JobD-Job": job} if job else {}
    click.echo(session.client.request("POST", "/events", body=body, headers=headers).json["id"])


@event.command("list")
@click.option("--type", "types", multiple=True, metavar="GLOB", help="Only such types.")
@click.option("--subject", help="Only those about this.")
@click.option("--filter", "filters", multiple=True, metavar="PATH=VALUE", help="Only such data.")
@click.option("--after", metavar="ID", help="Only later ones.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@output_option
@pass_session
def list_events(
    session: Session,
    types: tuple[str, ...],
    subject: str | None,
    filters: tuple[str, ...],
    after: str | None,
    limit: int,
    form: str,
) -> None:
    """List events in order."""
    asked: dict[str, Any] = {"types": types, "subject": subject, "filter": filters}
    body = session.client.get("/events", **asked, after=after, limit=limit)
    print_events(form, body)


@event.command()
@click.option("--type", "types", multiple=True, metavar="GLOB", help="Only such types.")
@click.option("--subject", help="Only those about this.")
@click.option("--filter", "filters", multiple=True, metavar="PATH=VALUE", help="Only such data.")
@click.option("--after", metavar="ID", help="Begin behind this one; without it, now.")
@output_option
@pass_session
def tail(
    session: Session,
    types: tuple[str, ...],
    subject: str | None,
    filters: tuple[str, ...],
    after: str | None,
    form: str,
) -> None:
    """Follow events until Ctrl-C; with -o json one object a line."""
    query: dict[str, Any] = {
        "types": types,
        "subject": subject,
        "filter": filters,
        "after": after,
    }
    tail_events(session.client, form, query)


def print_events(form: str, body: dict[str, Any]) -> None:
    """Print a page of events."""
    print_items(form, body, kind="event", columns=_EVENTS)
    if body["gap"]:
        note("jobctl: older events are no longer kept")


def tail_events(client: Client, form: str, query: dict[str, Any]) -> None:
    """Print events as they come, a line each, until Ctrl-C."""
    for name, _, data in client.stream("/events/stream", query):
        if name == "gap":
            note("jobctl: some events are no longer kept")
        elif form in ("json", "yaml"):
            click.echo(json.dumps(data, ensure_ascii=False))
        elif form == "name":
            click.echo(f"event/{data['id']}")
        else:
            click.echo("  ".join(value(data) for _, value in _EVENTS))
