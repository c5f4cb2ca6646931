"""jobctl hook: what is sent or started when something happens, and what became of it."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import click

from jobd.cli.complete import HOOK
from jobd.cli.job_spec import read_spec_file
from jobd.cli.output import Column, age, note, output_option, print_items, print_one
from jobd.cli.session import Session, pass_session

__all__ = ["hook"]

_HOOKS: Final[tuple[Column, ...]] = (
    ("NAME", lambda item: item["name"]),
    ("ON", lambda item: ",".join(item["event"]["types"])),
    ("DOES", lambda item: item["url"] or item["starts"]),
    ("PENDING", lambda item: str(item["pending"])),
    ("LAST", lambda item: age(item["last_at"])),
    ("DISABLED", lambda item: item["disabled"]),
)
_DELIVERIES: Final[tuple[Column, ...]] = (
    ("ID", lambda item: item["id"]),
    ("EVENT", lambda item: item["event_type"]),
    ("STATE", lambda item: item["state"]),
    ("ATTEMPTS", lambda item: str(item["attempts"])),
    ("STATUS", lambda item: str(item["status"] or "")),
    ("AGE", lambda item: age(item["created_at"])),
    ("DETAIL", lambda item: item["detail"]),
)


@click.group()
def hook() -> None:
    """Send webhooks, or start jobs and pipelines, when something happens."""


@hook.command("put")
@click.argument("name", type=HOOK)
@click.option("-f", "--file", "file", required=True, metavar="FILE|-", help="The hook, as YAML.")
@click.option("--if-match", type=int, metavar="REVISION", help="Only if it is at this revision.")
@click.option("--create", is_flag=True, help="Only if there is none yet.")
@pass_session
def put_hook(session: Session, name: str, file: str, if_match: int | None, create: bool) -> None:
    """Put a hook; prints its revision."""
    text, headers = read_spec_file(file)
    if if_match is not None:
        headers["If-Match"] = f'"{if_match}"'
    if create:
        headers["If-None-Match"] = "*"
    path = f"/hooks/{quote(name, safe='')}"
    answer = session.client.request("PUT", path, body=text, headers=headers)
    click.echo(answer.json["revision"])


@hook.command("get")
@click.argument("name", type=HOOK)
@output_option
@pass_session
def get_hook(session: Session, name: str, form: str) -> None:
    """Show a hook."""
    body = session.client.get(f"/hooks/{quote(name, safe='')}")
    print_one(form, body, name=f"hook/{name}")


@hook.command("list")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--cursor", help="Go on behind a page.")
@output_option
@pass_session
def list_hooks(session: Session, limit: int, cursor: str | None, form: str) -> None:
    """List the hooks."""
    body = session.client.get("/hooks", limit=limit, cursor=cursor)
    print_items(form, body, kind="hook", columns=_HOOKS, key="name")


@hook.command("delete")
@click.argument("name", type=HOOK)
@click.option("--if-match", type=int, metavar="REVISION", help="Only if it is at this revision.")
@pass_session
def delete_hook(session: Session, name: str, if_match: int | None) -> None:
    """Delete a hook with its deliveries."""
    headers = {} if if_match is None else {"If-Match": f'"{if_match}"'}
    session.client.request("DELETE", f"/hooks/{quote(name, safe='')}", headers=headers)
    note(f"hook/{name} deleted")


@hook.command("deliveries")
@click.argument("name", type=HOOK)
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--cursor", help="Go on behind a page.")
@output_option
@pass_session
def list_deliveries(session: Session, name: str, limit: int, cursor: str | None, form: str) -> None:
    """List what a hook has sent and is to send, the oldest first."""
    path = f"/hooks/{quote(name, safe='')}/deliveries"
    body = session.client.get(path, limit=limit, cursor=cursor)
    print_items(form, body, kind=f"hook/{name}/delivery", columns=_DELIVERIES)


@hook.command("redeliver")
@click.argument("name", type=HOOK)
@click.argument("delivery", metavar="ID")
@pass_session
def redeliver(session: Session, name: str, delivery: str) -> None:
    """Send a delivery again, under the id that it had."""
    path = f"/hooks/{quote(name, safe='')}/deliveries/{quote(delivery, safe='')}/redeliver"
    session.client.request("POST", path)
    note(f"delivery {delivery} of hook/{name} is sent again")
