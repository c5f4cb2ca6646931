"""jobctl job and jobctl run."""

from __future__ import annotations

import re
from typing import Any, Final

import click

from jobd.cli import failure
from jobd.cli.client import Refused
from jobd.cli.failure import USAGE, Failure
from jobd.cli.follow import (
    cancelling_on_interrupt,
    follow_log,
    leaving_on_interrupt,
    wait_for,
    write_record,
)
from jobd.cli.job_spec import (
    DASHES,
    SpecCommand,
    make_spec,
    name_of,
    read_spec_file,
    spec_options,
)
from jobd.cli.output import (
    Column,
    age,
    moment,
    note,
    output_option,
    print_items,
    print_one,
    state,
)
from jobd.cli.session import Session, pass_session

__all__ = ["job", "run"]

TYPES: Final = click.Choice(["command", "container", "js"])
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


@job.command(cls=SpecCommand)
@click.argument("name", required=False)
@click.argument("words", nargs=-1, metavar="[COMMAND | -- ARGV… | IMAGE]")
@click.option("-f", "--file", metavar="FILE|-", help="Take the spec from a YAML or JSON file.")
@click.option("-t", "--type", "type_", type=TYPES, default="command", show_default=True)
@click.option("--module", metavar="FILE|NAME", help="Module of a js job.")
@spec_options
@click.option("--idempotency-key", metavar="KEY", help="Make one job of this key, ever.")
@click.option("--wait", is_flag=True, help="Wait for its end; exit with its code.")
@click.option("--follow", is_flag=True, help="Follow its output; exit with its code.")
@output_option
@click.pass_context
def create(
    ctx: click.Context,
    /,
    name: str | None,
    words: tuple[str, ...],
    file: str | None,
    type_: str,
    module: str | None,
    idempotency_key: str | None,
    wait: bool,
    follow: bool,
    form: str,
    **options: Any,
) -> None:
    """Create a job.

    \b
    jobctl job create my-job "echo 'Hello, World!'"    one string with spaces: sh -c
    jobctl job create my-job -- grep -r foo /srv       behind --: argv as it is
    jobctl job create -f job.yaml
    """
    session = ctx.ensure_object(Session)
    headers: dict[str, str] = {}
    body: Any
    if file is not None:
        if name is not None or any(value not in (None, ()) for value in options.values()):
            raise Failure("-f takes the whole spec from the file", exit_code=USAGE)
        body, headers = read_spec_file(file)
    elif name is None:
        raise click.UsageError("Missing argument 'NAME', or -f FILE.", ctx)
    else:
        body = make_spec(name, type_, words, exact=ctx.meta[DASHES], module=module, **options)
    try:
        made = _submit(session, body, headers, idempotency_key)
    except Refused as e:
        e.file = file
        raise
    if wait or follow:
        with leaving_on_interrupt(made["id"]):
            ended = (
                follow_log(session.client, made["id"], attempt=1)
                if follow
                else wait_for(session.client, made["id"])
            )
        if form != "table" and not follow:
            print_one(form, ended, name=f"job/{made['id']}")
        _finish(ended)
    elif form == "table":
        click.echo(made["id"])
    else:
        print_one(form, made, name=f"job/{made['id']}")


@click.command(cls=SpecCommand, context_settings={"allow_interspersed_args": False})
@click.argument("words", nargs=-1, required=True, metavar="[--] CMD…")
@click.option("--name", help="Name of the job; the program's without it.")
@spec_options
@click.option("--idempotency-key", metavar="KEY", help="Make one job of this key, ever.")
@click.pass_context
def run(
    ctx: click.Context,
    /,
    words: tuple[str, ...],
    name: str | None,
    idempotency_key: str | None,
    **options: Any,
) -> None:
    """Run a command as a job, follow it, exit with its code.

    Ctrl-C cancels the job; once more leaves it.
    """
    session = ctx.ensure_object(Session)
    spec = make_spec(
        name or name_of(words), "command", words, exact=ctx.meta[DASHES], module=None, **options
    )
    made = _submit(session, spec, {}, idempotency_key)
    with cancelling_on_interrupt(session.client, made["id"]):
        ended = follow_log(session.client, made["id"], attempt=1)
    _finish(ended)


@job.command("list")
@click.option("--state", "states", type=STATES, multiple=True)
@click.option("-t", "--type", "types", type=TYPES, multiple=True)
@click.option("--label", "labels", multiple=True, metavar="K=V")
@click.option("--name", help="Only jobs of this name.")
@click.option("-q", "--query", help="Part of a name, or the beginning of an id.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--cursor", help="Go on behind a page; its next_cursor is in -o json.")
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
    form: str,
) -> None:
    """List jobs, the newest first."""
    body = session.client.get(
        "/jobs",
        state=states,
        type=types,
        label=labels,
        name=name,
        q=query,
        limit=limit,
        cursor=cursor,
    )
    print_items(form, body, kind="job", columns=_COLUMNS, wide=_WIDE)
    if body["next_cursor"] and form in ("table", "wide"):
        note(f"jobctl: there are more; go on with --cursor {body['next_cursor']}")


@job.command()
@click.argument("reference", metavar="JOB")
@output_option
@pass_session
def get(session: Session, reference: str, form: str) -> None:
    """Show a job. JOB is an id, a unique id prefix, or a name (the newest)."""
    body = session.client.get(f"/jobs/{session.job_id(reference)}")
    print_one(form, body, name=f"job/{body['id']}")


@job.command()
@click.argument("reference", metavar="JOB")
@click.option("-f", "--follow", is_flag=True, help="Go on until the job is over.")
@click.option("--attempt", type=click.IntRange(1), help="This attempt; the last one without it.")
@click.option("--task", type=click.IntRange(0), help="This task of a fan-out.")
@click.option("--since", default="", metavar="TIME|DURATION", help="Only newer output: 10m.")
@pass_session
def logs(
    session: Session,
    reference: str,
    follow: bool,
    attempt: int | None,
    task: int | None,
    since: str,
) -> None:
    """Print what a job wrote: its stdout to stdout, its stderr to stderr."""
    job_id = session.job_id(reference)
    if follow:
        with leaving_on_interrupt(job_id):
            follow_log(session.client, job_id, attempt=attempt or 0, task=task, since=since)
        return
    tasks = [task] if task is not None else range(session.client.get(f"/jobs/{job_id}")["tasks"])
    for one in tasks:
        _print_log(session, job_id, one, attempt, since)


@job.command()
@click.argument("reference", metavar="JOB")
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
        _finish(ended)


@job.command()
@click.argument("references", metavar="JOB…", nargs=-1, required=True)
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
@click.argument("reference", metavar="JOB")
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
@click.argument("reference", metavar="JOB")
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
@click.argument("references", metavar="JOB…", nargs=-1, required=True)
@pass_session
def delete(session: Session, references: tuple[str, ...]) -> None:
    """Delete jobs that have ended, with their output."""
    for reference in references:
        job_id = session.job_id(reference)
        session.client.request("DELETE", f"/jobs/{job_id}")
        note(f"job/{job_id} deleted")


def _submit(
    session: Session, body: Any, headers: dict[str, str], key: str | None
) -> dict[str, Any]:
    made: dict[str, Any] = session.client.submit("/jobs", body=body, headers=headers, key=key).json
    return made


def _finish(ended: dict[str, Any]) -> None:
    """Exit as the job did, saying why where its code alone does not."""
    code = failure.of_job(ended)
    if code and ended.get("reason") not in (None, "exit"):
        why = ended.get("detail") or ended["reason"]
        note(f"jobctl: job {ended['id']} {ended['state']}: {why}")
    raise SystemExit(code)


def _print_why(body: dict[str, Any]) -> None:
    """Print the state, what it waits for and until when, and what each node lacks for it."""
    cause = body["detail"] or body["reason"]
    click.echo(f"job/{body['job']} is {body['state']}" + (f": {cause}" if cause else ""))
    for reason in body["reasons"]:
        until = f" ({moment(reason['due_ms'])})" if "due_ms" in reason else ""
        click.echo(f"  {reason['message']}{until}")
    for node in body.get("nodes", ()):
        for reason in node["reasons"]:
            click.echo(f"  node {node['name']}: {reason['message']}")


def _print_log(session: Session, job_id: str, task: int, attempt: int | None, since: str) -> None:
    start = 0
    while True:
        page = session.client.get(
            f"/jobs/{job_id}/logs",
            **{"task": task, "attempt": attempt, "from": start, "limit": 500, "since": since},
        )
        for record in page["items"]:
            write_record(record)
        if page["next_from"] <= start:
            return
        start = page["next_from"]
