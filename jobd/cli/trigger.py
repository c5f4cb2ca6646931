"""jobctl trigger: what waits for events and for webhooks."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import click

from jobd.cli.complete import TRIGGER
from jobd.cli.job_spec import read_spec_file
from jobd.cli.output import Column, age, note, output_option, print_items, print_one
from jobd.cli.session import Session, pass_session

__all__ = ["trigger"]


def _waits_for(item: dict[str, Any]) -> str:
    if item["event"] is not None:
        return ",".join(item["event"]["types"])
    return f"POST /webhooks/{item['webhook']['path']} ({item['webhook']['scheme']})"


_TRIGGERS: Final[tuple[Column, ...]] = (
    ("NAME", lambda item: item["name"]),
    ("WAITS FOR", _waits_for),
    ("DOES", lambda item: item["starts"] or f"emits {item['emits']}"),
    ("FIRES", lambda item: str(item["fires"])),
    ("LAST", lambda item: age(item["last_at"])),
)


@click.group()
def trigger() -> None:
    """Show what waits for events and webhooks; put webhooks that emit events.

    What starts a job is the `trigger:` of its spec.
    """


@trigger.command("put")
@click.argument("name", type=TRIGGER)
@click.option("-f", "--file", "file", required=True, metavar="FILE|-", help="It, as YAML.")
@click.option("--if-match", type=int, metavar="REVISION", help="Only if it is at this revision.")
@click.option("--create", is_flag=True, help="Only if there is none yet.")
@pass_session
def put_trigger(session: Session, name: str, file: str, if_match: int | None, create: bool) -> None:
    """Put a trigger; prints its revision."""
    text, headers = read_spec_file(file)
    if if_match is not None:
        headers["If-Match"] = f'"{if_match}"'
    if create:
        headers["If-None-Match"] = "*"
    path = f"/triggers/{quote(name, safe='')}"
    answer = session.client.request("PUT", path, body=text, headers=headers)
    click.echo(answer.json["revision"])


@trigger.command("get")
@click.argument("name", type=TRIGGER)
@output_option
@pass_session
def get_trigger(session: Session, name: str, form: str) -> None:
    """Show a trigger."""
    body = session.client.get(f"/triggers/{quote(name, safe='')}")
    print_one(form, body, name=f"trigger/{name}")


@trigger.command("list")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--cursor", help="Go on behind a page.")
@output_option
@pass_session
def list_triggers(session: Session, limit: int, cursor: str | None, form: str) -> None:
    """List the triggers."""
    body = session.client.get("/triggers", limit=limit, cursor=cursor)
    print_items(form, body, kind="trigger", columns=_TRIGGERS, key="name")


@trigger.command("delete")
@click.argument("name", type=TRIGGER)
@click.option("--if-match", type=int, metavar="REVISION", help="Only if it is at this revision.")
@pass_session
def delete_trigger(session: Session, name: str, if_match: int | None) -> None:
    """Delete a trigger, with the template of what it starts."""
    headers = {} if if_match is None else {"If-Match": f'"{if_match}"'}
    session.client.request("DELETE", f"/triggers/{quote(name, safe='')}", headers=headers)
    note(f"trigger/{name} deleted")
