"""jobctl job logs, output, artifacts, attempts and events: what a job leaves behind."""

from __future__ import annotations

from typing import Any, Final

import click

from jobd.cli.complete import JOB
from jobd.cli.event import print_events, tail_events
from jobd.cli.follow import follow_log, leaving_on_interrupt, write_record
from jobd.cli.output import Column, age, output_option, print_items, write_bytes
from jobd.cli.session import Session, pass_session

__all__ = ["artifacts", "attempts", "events", "logs", "output"]

_ATTEMPTS: Final[tuple[Column, ...]] = (
    ("TASK", lambda item: str(item["task"])),
    ("ATTEMPT", lambda item: str(item["attempt"])),
    ("OUTCOME", lambda item: item["outcome"]),
    ("REASON", lambda item: item["reason"]),
    ("EXIT", lambda item: "" if item["exit_code"] is None else str(item["exit_code"])),
    ("NODE", lambda item: item["node"]),
    ("BEGAN", lambda item: age(item["started_at"])),
    ("CPU", lambda item: f"{item['cpu_ms'] / 1000:.1f}s"),
)
_ARTIFACTS: Final[tuple[Column, ...]] = (
    ("NAME", lambda item: item["name"]),
    ("TASK", lambda item: str(item["task"])),
    ("BYTES", lambda item: str(item["size_bytes"])),
    ("DIGEST", lambda item: item["digest"]),
)

task_option = click.option(
    "--task", type=click.IntRange(0), default=0, help="This task of a fan-out."
)


@click.command()
@click.argument("reference", metavar="JOB", type=JOB)
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


@click.command()
@click.argument("reference", metavar="JOB", type=JOB)
@task_option
@pass_session
def output(session: Session, reference: str, task: int) -> None:
    """Print the JSON that a job gave as its output."""
    path = f"/jobs/{session.job_id(reference)}/output"
    write_bytes(session.client.request("GET", path, query={"task": task}).body)


@click.command()
@click.argument("reference", metavar="JOB", type=JOB)
@click.argument("name", required=False)
@task_option
@output_option
@pass_session
def artifacts(session: Session, reference: str, name: str | None, task: int, form: str) -> None:
    """List the files that a job left, or write the bytes of NAME to stdout."""
    path = f"/jobs/{session.job_id(reference)}/artifacts"
    if name is None:
        body = session.client.get(path)
        print_items(form, body, kind="artifact", columns=_ARTIFACTS, key="name")
    else:
        write_bytes(session.client.request("GET", f"{path}/{name}", query={"task": task}).body)


@click.command()
@click.argument("reference", metavar="JOB", type=JOB)
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--cursor", help="Go on behind a page; its next_cursor is in -o json.")
@output_option
@pass_session
def attempts(session: Session, reference: str, limit: int, cursor: str | None, form: str) -> None:
    """List the tries of a job and of its tasks."""
    body = session.client.get(
        f"/jobs/{session.job_id(reference)}/attempts", limit=limit, cursor=cursor
    )
    print_items(form, body, kind="attempt", columns=_ATTEMPTS, key="attempt")


@click.command()
@click.argument("reference", metavar="JOB", type=JOB)
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens, until Ctrl-C.")
@click.option("--after", metavar="ID", help="Only later ones.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@output_option
@pass_session
def events(
    session: Session, reference: str, follow: bool, after: str | None, limit: int, form: str
) -> None:
    """List what happened to a job."""
    job_id = session.job_id(reference)
    if follow:
        query: dict[str, Any] = {"subject": f"job/{job_id}", "after": after or "0-0"}
        tail_events(session.client, form, query)
    else:
        body = session.client.get(f"/jobs/{job_id}/events", after=after, limit=limit)
        print_events(form, body)


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
