"""jobctl runs: look at runs of pipelines, draw them, end them, run them again, answer gates."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import click

from actors.model.ids import is_id
from jobd.cli.complete import RUN
from jobd.cli.event import print_events
from jobd.cli.failure import NOT_FOUND, USAGE, Failure
from jobd.cli.output import (
    Column,
    age,
    coloured,
    field_lines,
    note,
    output_option,
    print_items,
    print_lines,
    print_one,
    table_lines,
)
from jobd.cli.run_follow import ENDED_RUN, exit_as_run, follow_run, wait_for_run
from jobd.cli.run_graph import COLOURS, graph_lines
from jobd.cli.session import Session, pass_session
from jobd.cli.watch import watch, watch_option

__all__ = ["print_runs", "runs", "state_option"]

_EVENTS: Final = "jobd:pipeline:*,jobd:step:*"
state_option = click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(
        ["pending", "running", "succeeded", "succeeded_with_warnings", "failed", "cancelled"]
    ),
)


def _steps(item: dict[str, Any]) -> str:
    steps: dict[str, int] = item["steps"]
    return f"{steps.get('succeeded', 0)}/{sum(steps.values())}"


def _state(item: dict[str, Any]) -> str:
    return coloured(item["state"], COLOURS.get(item["state"]))


_COLUMNS: Final[tuple[Column, ...]] = (
    ("ID", lambda item: item["id"]),
    ("PIPELINE", lambda item: item["pipeline"]),
    ("STATE", _state),
    ("STEPS", _steps),
    ("REASON", lambda item: item["reason"]),
    ("AGE", lambda item: age(item["created_at"])),
)
_WIDE: Final[tuple[Column, ...]] = (
    ("CAUSE", lambda item: (item["cause"] or {}).get("kind", "")),
    ("PARENT", lambda item: item["parent_run"] or item["of_run"] or ""),
    ("DETAIL", lambda item: item["detail"]),
)
_OF_STEPS: Final[tuple[Column, ...]] = (
    ("STEP", lambda item: item["name"]),
    ("STATE", _state),
    ("REASON", lambda item: item["reason"]),
    ("JOB", lambda item: item["job"] or item["run"] or ""),
    ("DETAIL", lambda item: item["detail"]),
)


@click.group()
def runs() -> None:
    """Look at runs of pipelines, end them, run them again."""


@runs.command("list")
@state_option
@click.option("--pipeline", help="Only of this pipeline.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--cursor", help="Go on behind a page.")
@output_option
@pass_session
def list_(
    session: Session,
    states: tuple[str, ...],
    pipeline: str | None,
    limit: int,
    cursor: str | None,
    form: str,
) -> None:
    """List runs, the newest first."""
    query = {"state": states, "pipeline": pipeline, "limit": limit, "cursor": cursor}
    print_runs(form, session.client.get("/runs", **query))


def print_runs(form: str, body: dict[str, Any]) -> None:
    """Print a page of runs."""
    print_items(form, body, kind="run", columns=_COLUMNS, wide=_WIDE)
    if body["next_cursor"] and form in ("table", "wide"):
        note(f"jobctl: there are more; go on with --cursor {body['next_cursor']}")


@runs.command()
@click.argument("reference", metavar="RUN", type=RUN)
@output_option
@pass_session
def get(session: Session, reference: str, form: str) -> None:
    """Show a run and its steps. RUN is an id, a unique prefix, or a pipeline (its newest run)."""
    run_id = _id_of(session, reference)
    body = session.client.get(f"/runs/{run_id}")
    if form not in ("table", "wide"):
        print_one(form, body, name=f"run/{run_id}")
        return
    fields = {key: value for key, value in body.items() if key not in ("graph", "steps")}
    print_lines([*field_lines(form, fields), "", *table_lines(_OF_STEPS, body["graph"])])


@runs.command()
@click.argument("reference", metavar="RUN", type=RUN)
@click.option("--svg", is_flag=True, help="Print it as an SVG picture.")
@watch_option
@pass_session
def graph(session: Session, reference: str, svg: bool, watching: bool) -> None:
    """Draw a run: a row for each step with its state, and lanes to what needs it."""
    run_id = _id_of(session, reference)
    path = f"/runs/{run_id}"
    if svg:
        click.echo(session.client.request("GET", f"{path}/graph.svg").body)
    elif watching:
        watch(
            session.client,
            "table",
            path,
            {},
            lines=_drawn,
            subject=f"run/{run_id}",
            over=lambda body: body["state"] in ENDED_RUN,
            types=_EVENTS,
        )
    else:
        print_lines(_drawn(session.client.get(path)))


def _drawn(body: dict[str, Any]) -> list[str]:
    head = f"run/{body['id']} {body['pipeline']} {_state(body)}"
    why = body["detail"] or body["reason"]
    return [f"{head} — {why}" if why else head, *graph_lines(body["graph"])]


@runs.command()
@click.argument("reference", metavar="RUN", type=RUN)
@click.option("--after", metavar="ID", help="Only later ones.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@output_option
@pass_session
def events(session: Session, reference: str, after: str | None, limit: int, form: str) -> None:
    """List what happened to a run and its steps."""
    path = f"/runs/{_id_of(session, reference)}/events"
    print_events(form, session.client.get(path, after=after, limit=limit))


@runs.command()
@click.argument("references", metavar="RUN…", type=RUN, nargs=-1, required=True)
@click.option("--reason", default="", help="Why, for its record.")
@pass_session
def cancel(session: Session, references: tuple[str, ...], reason: str) -> None:
    """Cancel runs; their steps of `finally` run. Once more ends these too."""
    for reference in references:
        run_id = _id_of(session, reference)
        body = session.client.request(
            "POST", f"/runs/{run_id}/cancel", body={"reason": reason}
        ).json
        note(f"run/{run_id} {body['state'] if body['state'] in ENDED_RUN else 'is asked to end'}")


@runs.command()
@click.argument("reference", metavar="RUN", type=RUN)
@click.option(
    "--from", "since", default="failed", metavar="failed|start|STEP", help="What runs again."
)
@click.option("--wait", "waits", is_flag=True, help="Wait for its end, exit by it.")
@click.option("--follow", "follows", is_flag=True, help="Tell of its steps meanwhile, then exit.")
@output_option
@pass_session
def rerun(
    session: Session, reference: str, since: str, waits: bool, follows: bool, form: str
) -> None:
    """Run an ended run again as a new one that takes over what succeeded.

    From `failed`, what did not succeed runs again, and all behind it; from a step, that one and all
    behind it; from `start`, everything.
    """
    path = f"/runs/{_id_of(session, reference)}/rerun"
    answer = session.client.submit(path, body={"from": since})
    run_id = str(answer.json["run_id"])
    if form == "table":
        click.echo(run_id)
    else:
        print_one(form, answer.json, name=f"run/{run_id}")
    if follows:
        follow_run(session.client, run_id, after=answer.headers["X-JobD-Revision"])
    if waits or follows:
        exit_as_run(wait_for_run(session.client, run_id))


@runs.command()
@click.argument("reference", metavar="RUN", type=RUN)
@click.argument("step", required=False)
@click.option("--reject", is_flag=True, help="Reject it instead.")
@click.option("--comment", default="", help="Why, for its record.")
@pass_session
def approve(session: Session, reference: str, step: str | None, reject: bool, comment: str) -> None:
    """Approve a gate, or reject it. STEP may be left out where one gate waits."""
    run_id = _id_of(session, reference)
    step = step or _waiting(session, run_id)
    body = {"approve": not reject, "comment": comment}
    session.client.request("POST", f"/runs/{run_id}/gates/{quote(step, safe='')}", body=body)
    note(f"run/{run_id}: {step} {'rejected' if reject else 'approved'}")


def _waiting(session: Session, run_id: str) -> str:
    steps = session.client.get(f"/runs/{run_id}")["graph"]
    waiting = [str(step["name"]) for step in steps if step["state"] == "waiting"]
    if len(waiting) == 1:
        return waiting[0]
    raise Failure(
        f"{len(waiting)} gates of run {run_id} wait: {', '.join(waiting) or 'none'}",
        remedy="Name the step.",
        exit_code=USAGE,
    )


def _id_of(session: Session, reference: str) -> str:
    """Return the id that an id, a unique prefix or a pipeline (its newest run) stands for."""
    if is_id(reference):
        return reference
    if not reference:
        raise Failure("the run's id is empty", exit_code=USAGE)
    named = session.client.get("/runs", pipeline=reference, limit=1)["items"]
    if named:
        return str(named[0]["id"])
    begun = session.client.get("/runs", id_prefix=reference, limit=2)["items"]
    if len(begun) == 1:
        return str(begun[0]["id"])
    raise Failure(
        f"{'more than one' if begun else 'no'} run is meant by {reference!r}",
        remedy="`jobctl runs list` shows what there is.",
        exit_code=USAGE if begun else NOT_FOUND,
    )
