"""jobctl schedule: jobs that recur."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import quote

import click

from jobd.cli.complete import SCHEDULE
from jobd.cli.failure import INVALID_SPEC, Failure
from jobd.cli.job_spec import read_argument, read_spec_file
from jobd.cli.output import (
    Column,
    age,
    note,
    output_option,
    print_items,
    print_lines,
    print_one,
    table_lines,
)
from jobd.cli.session import Session, pass_session

__all__ = ["schedule", "schedule_path", "when"]

_COLUMNS: Final[tuple[Column, ...]] = (
    ("NAME", lambda item: item["name"]),
    ("STATE", lambda item: item["state"]),
    ("WHEN", lambda item: when(item)),
    ("NEXT", lambda item: item["next_at"] or ""),
    ("LAST", lambda item: _last(item)),
    ("FIRES", lambda item: str(item["fires"])),
    ("MISSED", lambda item: str(item["missed"] + item["skipped"])),
)
_WIDE: Final[tuple[Column, ...]] = (
    ("STARTS", lambda item: item["starts"]),
    ("RUNNING", lambda item: ",".join(item["running"])),
    ("QUEUED", lambda item: str(item["queued"])),
    ("AGE", lambda item: age(item["created_at"])),
)
_UPCOMING: Final[tuple[Column, ...]] = (
    ("SCHEDULE", lambda item: item["schedule"]),
    ("NOMINAL", lambda item: item["nominal"]),
    ("DUE", lambda item: item["due_at"]),
)
_PREVIEW: Final[tuple[Column, ...]] = (
    ("NOMINAL", lambda item: item["nominal"]),
    ("LOCAL", lambda item: item["local"]),
    ("NOTE", lambda item: item["note"]),
)
_FIRES: Final[tuple[Column, ...]] = (
    ("NOMINAL", lambda item: item["nominal"]),
    ("OUTCOME", lambda item: item["outcome"]),
    ("REASON", lambda item: item["reason"]),
    ("COUNT", lambda item: str(item["count"]) if item["count"] else "many"),
    ("STARTED", lambda item: item["started"] or ""),
    ("DETAIL", lambda item: item["detail"]),
)
_name = click.argument("name", type=SCHEDULE)


@click.group()
def schedule() -> None:
    """See and steer what recurs; `job create --cron` and `apply` make schedules."""


@schedule.command("list")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--cursor", help="Go on behind a page.")
@output_option
@pass_session
def list_schedules(session: Session, limit: int, cursor: str | None, form: str) -> None:
    """List the schedules by name."""
    body = session.client.get("/schedules", limit=limit, cursor=cursor)
    print_items(form, body, kind="schedule", columns=_COLUMNS, wide=_WIDE, key="name")


@schedule.command()
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True)
@output_option
@pass_session
def upcoming(session: Session, limit: int, form: str) -> None:
    """List the next fires of all schedules."""
    body = session.client.get("/schedules/upcoming", limit=limit)
    print_items(form, body, kind="schedule", columns=_UPCOMING, key="schedule")


@schedule.command("get")
@_name
@output_option
@pass_session
def get_schedule(session: Session, name: str, form: str) -> None:
    """Show a schedule: why it waits, and what became of its last fires."""
    body = session.client.get(schedule_path(name))
    if form not in ("table", "wide"):
        print_one(form, body, name=f"schedule/{name}")
        return
    left_out = ("recent", "reasons", "spec", "last", "recurrence")
    print_one(form, {k: v for k, v in body.items() if k not in left_out}, name="")
    for reason in body["reasons"]:
        click.echo(f"why: {reason['message']}")
    if body["recent"]:
        click.echo()
        print_lines(table_lines(_FIRES, body["recent"]))


@schedule.command("put")
@click.option(
    "-f", "--file", metavar="FILE|-", required=True, help="A job spec with a trigger that recurs."
)
@click.option("--if-match", type=int, metavar="REVISION", help="Only if it is at this revision.")
@click.option("--create", is_flag=True, help="Only if there is none yet.")
@_name
@pass_session
def put_schedule(
    session: Session, file: str, if_match: int | None, create: bool, name: str
) -> None:
    """Put a schedule from a file; prints its revision."""
    body, headers = read_spec_file(file)
    if if_match is not None:
        headers["If-Match"] = f'"{if_match}"'
    if create:
        headers["If-None-Match"] = "*"
    answer = session.client.request("PUT", schedule_path(name), body=body, headers=headers)
    click.echo(answer.json["revision"])


@schedule.command()
@_name
@click.option("--count", type=click.IntRange(1, 100), default=10, show_default=True)
@click.option("--around-dst", is_flag=True, help="Around the next two changes of the clock.")
@click.option("--after", metavar="TIME", help="From then on: 2026-12-01T09:00:00Z.")
@output_option
@pass_session
def preview(
    session: Session, name: str, count: int, around_dst: bool, after: str | None, form: str
) -> None:
    """Say when a schedule will fire, and what its zone's clock shows then."""
    query = {"count": count, "around_dst": around_dst or None, "after": after}
    body = session.client.get(f"{schedule_path(name)}/preview", **query)
    if not body["items"]:
        note("no clock change is ahead" if around_dst else "it never fires again")
    print_items(form, body, kind="fire", columns=_PREVIEW, key="nominal")


@schedule.command()
@_name
@pass_session
def pause(session: Session, name: str) -> None:
    """Have a schedule start nothing until it is resumed."""
    session.client.request("POST", f"{schedule_path(name)}/pause")
    note(f"schedule/{name} paused")


@schedule.command()
@_name
@pass_session
def resume(session: Session, name: str) -> None:
    """Have a paused schedule go on from now; what it did not fire meanwhile is missed."""
    session.client.request("POST", f"{schedule_path(name)}/resume")
    note(f"schedule/{name} resumed")


@schedule.command()
@_name
@click.option("--input", "input_", metavar="JSON|@FILE", help="Its input; the spec's without it.")
@click.option("--idempotency-key", metavar="KEY", help="Fire once for this key, ever.")
@output_option
@pass_session
def fire(
    session: Session, name: str, input_: str | None, idempotency_key: str | None, form: str
) -> None:
    """Start a schedule's job now; prints its id."""
    body = {} if input_ is None else {"input": _json(input_)}
    path = f"{schedule_path(name)}/fire"
    _print_made(form, session.client.submit(path, body=body, key=idempotency_key).json, "job")


@schedule.command()
@_name
@click.option("--from", "from_", metavar="TIME", required=True, help="2026-11-01T00:00:00Z.")
@click.option("--to", metavar="TIME", required=True, help="The end, which counts too.")
@click.option("--at-once", is_flag=True, help="Don't wait for one to end before the next.")
@click.option("--idempotency-key", metavar="KEY", help="Backfill once for this key, ever.")
@output_option
@pass_session
def backfill(
    session: Session,
    name: str,
    from_: str,
    to: str,
    at_once: bool,
    idempotency_key: str | None,
    form: str,
) -> None:
    """Fire for the times of a range of the past; prints the backfill's id."""
    body = {"from": from_, "to": to, "at_once": at_once}
    path = f"{schedule_path(name)}/backfill"
    _print_made(form, session.client.submit(path, body=body, key=idempotency_key).json, "backfill")


@schedule.command("delete")
@_name
@click.option("--if-match", type=int, metavar="REVISION", help="Only if it is at this revision.")
@pass_session
def delete_schedule(session: Session, name: str, if_match: int | None) -> None:
    """Delete a schedule; what it started goes on."""
    headers = {} if if_match is None else {"If-Match": f'"{if_match}"'}
    session.client.request("DELETE", schedule_path(name), headers=headers)
    note(f"schedule/{name} deleted")


def schedule_path(name: str) -> str:
    """Return the path of a schedule."""
    return f"/schedules/{quote(name, safe='')}"


def when(item: dict[str, Any]) -> str:
    """Return when a schedule fires, in one cell."""
    if item["every_ms"]:
        return f"every {item['every_ms'] / 1000:g}s"
    text = " | ".join(item["cron"])
    return text if item["timezone"] == "UTC" else f"{text} {item['timezone']}"


def _last(item: dict[str, Any]) -> str:
    last = item["last"]
    return f"{last['outcome']} {age(last['at'])} ago" if last is not None else ""


def _print_made(form: str, made: dict[str, Any], kind: str) -> None:
    if form == "table":
        click.echo(made["id"])
    else:
        print_one(form, made, name=f"{kind}/{made['id']}")


def _json(text: str) -> Any:
    try:
        return json.loads(read_argument(text))
    except ValueError as e:
        raise Failure(f"--input is no JSON: {e}", exit_code=INVALID_SPEC) from None
