"""jobctl job: look at jobs, wait for them, end them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import click

from jobd.cli.complete import JOB
from jobd.cli.follow import exit_as, wait_for
from jobd.cli.job_create import batch, create
from jobd.cli.job_results import artifacts, attempts, events, logs, output
from jobd.cli.job_spec import TYPES
from jobd.cli.output import (
    Column,
    age,
    field_lines,
    moment,
    note,
    output_option,
    print_items,
    print_one,
    state,
    table_lines,
)
from jobd.cli.session import Session, pass_session
from jobd.cli.watch import watch, watch_option

__all__ = ["job"]

ENDED: Final = frozenset(("succeeded", "failed", "cancelled", "expired"))
STATES: Final = click.Choice(
    ["scheduled", "waiting", "pending", "running", "succeeded", "failed", "cancelled", "expired"]
)
_COLUMNS: Final[tuple[Column, ...]] = (
    ("ID", lambda job: job["id"]),
    ("NAME", lambda job: job["name"]),
    ("TYPE", lambda job: job["type"]),
    ("STATE", state),
    ("REASON", lambda job: job["reason"]),
    ("AGE", lambda job: age(job["submitted_at"])),
)
_WIDE: Final[tuple[Column, ...]] = (
    ("NODE", lambda job: job["node"] or ""),
    ("ATTEMPT", lambda job: str(job["attempt"])),
    ("EXIT", lambda job: "" if job["exit_code"] is None else str(job["exit_code"])),
    ("PRIORITY", lambda job: str(job["priority"])),
    ("LABELS", lambda job: ",".join(f"{k}={v}" for k, v in job["labels"].items())),
)


class _Seconds(click.ParamType[float]):
    """A number of seconds, or 30s, 5m, 1h."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return seconds."""
        parts = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d|)", str(value))
        if parts is None:
            self.fail(f"{value!r} is no duration such as 30s or 5m", param, ctx)
        scale = {"ms": 0.001, "": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
        return float(parts[1]) * scale[parts[2]]


@click.group()
def job() -> None:
    """Create jobs, look at them, end them."""


for _command in (artifacts, attempts, batch, create, events, logs, output):
    job.add_command(_command)


@job.command("list")
@click.option("--state", "states", type=STATES, multiple=True)
@click.option("-t", "--type", "types", type=TYPES, multiple=True)
@click.option("--label", "labels", multiple=True, metavar="K=V", help="Only jobs with this label.")
@click.option("--name", help="Only jobs of this name.")
@click.option("-q", "--query", help="Part of a name, or the beginning of an id.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--cursor", help="Go on behind a page; its next_cursor is in -o json.")
@watch_option
@output_option
@pass_session
def list_(
    session: Session,
    states: tuple[str, ...],
    types: tuple[str, ...],
    labels: tuple[str, ...],
    name: str | None,
    query: str | None,
    limit: int,
    cursor: str | None,
    watching: bool,
    form: str,
) -> None:
    """List jobs, the newest first."""
    wanted: dict[str, Any] = {
        "state": states,
        "type": types,
        "label": labels,
        "name": name,
        "q": query,
        "limit": limit,
        "cursor": cursor,
    }
    if watching:
        columns = [*_COLUMNS, *_WIDE] if form == "wide" else _COLUMNS
        watch(
            session.client,
            form,
            "/jobs",
            wanted,
            lines=lambda body: table_lines(columns, body["items"]),
        )
        return
    body = session.client.get("/jobs", **wanted)
    print_items(form, body, kind="job", columns=_COLUMNS, wide=_WIDE)
    if body["next_cursor"] and form in ("table", "wide"):
        note(f"jobctl: there are more; go on with --cursor {body['next_cursor']}")


@job.command()
@click.argument("reference", metavar="JOB", type=JOB)
@watch_option
@output_option
@pass_session
def get(session: Session, reference: str, watching: bool, form: str) -> None:
    """Show a job. JOB is an id, a unique id prefix, or a name (the newest).

    In `wide` also its home: the node that decides first what becomes of it.
    """
    job_id = session.job_id(reference)
    if watching:
        watch(
            session.client,
            form,
            f"/jobs/{job_id}",
            {},
            lines=lambda body: field_lines(form, body),
            subject=f"job/{job_id}",
            over=lambda body: body["state"] in ENDED,
        )
        return
    body = session.client.get(f"/jobs/{job_id}")
    if form == "wide" and body["state"] not in ENDED:
        body["home"] = session.client.get(f"/jobs/{job_id}/explain")["home"]
    print_one(form, body, name=f"job/{job_id}")


@job.command()
@click.argument("reference", metavar="JOB", type=JOB)
@click.option("--timeout", type=_Seconds(), help="Give up after this long, with 75.")
@click.option("--until", type=click.Choice(["terminal", "running"]), default="terminal")
@output_option
@pass_session
def wait(session: Session, reference: str, timeout: float | None, until: str, form: str) -> None:
    """Wait for a job's end and exit with its code."""
    job_id = session.job_id(reference)
    ended = wait_for(session.client, job_id, until=until, timeout_s=timeout)
    if form != "table":
        print_one(form, ended, name=f"job/{job_id}")
    if until == "terminal":
        exit_as(ended)


@job.command()
@click.argument("references", metavar="JOB…", type=JOB, nargs=-1, required=True)
@click.option("--reason", default="", help="Why, for its record.")
@pass_session
def cancel(session: Session, references: tuple[str, ...], reason: str) -> None:
    """Cancel jobs."""
    for reference in references:
        job_id = session.job_id(reference)
        body = session.client.request(
            "POST", f"/jobs/{job_id}/cancel", body={"reason": reason}
        ).json
        asked = body["cancel_requested"] and body["state"] == "running"
        note(f"job/{job_id} {'is asked to end' if asked else body['state']}")


@job.command()
@click.argument("reference", metavar="JOB", type=JOB)
@output_option
@pass_session
def retry(session: Session, reference: str, form: str) -> None:
    """Submit the spec of a job that has ended as a new job."""
    made = session.client.submit(f"/jobs/{session.job_id(reference)}/retry").json
    if form == "table":
        click.echo(made["id"])
    else:
        print_one(form, made, name=f"job/{made['id']}")


@job.command()
@click.argument("reference", metavar="JOB", type=JOB)
@output_option
@pass_session
def why(session: Session, reference: str, form: str) -> None:
    """Say why a job is where it is, and what it waits for."""
    job_id = session.job_id(reference)
    body = session.client.get(f"/jobs/{job_id}/explain")
    if form == "table":
        _print_why(body)
    else:
        print_one(form, body, name=f"job/{job_id}")


@job.command()
@click.argument("references", metavar="JOB…", type=JOB, nargs=-1, required=True)
@pass_session
def delete(session: Session, references: tuple[str, ...]) -> None:
    """Delete jobs that have ended, with their output."""
    for reference in references:
        job_id = session.job_id(reference)
        session.client.request("DELETE", f"/jobs/{job_id}")
        note(f"job/{job_id} deleted")


def _cause_lines(causes: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a line for each link of a chain of causes, the nearest first."""
    for depth, link in enumerate(causes):
        about = " ".join(part for part in (link.get("type"), link.get("subject")) if part)
        lost = " (what was behind it is no longer kept)" if link.get("lost") else ""
        lead = "started by" if not depth else "  " * depth + "which came of"
        yield f"  {lead} {link['kind']} {link['id']}" + (f": {about}" if about else "") + lost


def _print_why(body: dict[str, Any]) -> None:
    """Print the state, what it waits for and until when, and what each node lacks for it."""
    cause = body["detail"] or body["reason"]
    click.echo(f"job/{body['job']} is {body['state']}" + (f": {cause}" if cause else ""))
    for line in _cause_lines(body["causes"]):
        click.echo(line)
    for reason in body["reasons"]:
        until = f" ({moment(reason['due_ms'])})" if "due_ms" in reason else ""
        click.echo(f"  {reason['message']}{until}")
    for node in body.get("nodes", ()):
        for reason in node["reasons"]:
            click.echo(f"  node {node['name']}: {reason['message']}")
