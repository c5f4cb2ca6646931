"""jobctl pipeline: graphs of jobs, defined in files and triggered by name."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import quote

import click

from jobd.cli.apply_pipeline import apply_pipeline
from jobd.cli.complete import PIPELINE
from jobd.cli.documents import file_option, kind_of, read_documents
from jobd.cli.failure import INVALID_SPEC, USAGE, Failure
from jobd.cli.job_spec import read_argument
from jobd.cli.output import (
    Column,
    age,
    note,
    output_option,
    print_items,
    print_one,
)
from jobd.cli.run import print_runs, state_option
from jobd.cli.run_follow import exit_as_run, follow_run, wait_for_run
from jobd.cli.session import Session, pass_session

__all__ = ["pipeline"]

_COLUMNS: Final[tuple[Column, ...]] = (
    ("NAME", lambda item: item["name"]),
    ("STEPS", lambda item: str(item["steps"])),
    ("REVISION", lambda item: str(item["revision"])),
    ("UPDATED", lambda item: age(item["updated_at"])),
)
_WIDE: Final[tuple[Column, ...]] = (
    ("LABELS", lambda item: ",".join(f"{k}={v}" for k, v in item["labels"].items())),
    ("WARNINGS", lambda item: str(len(item["warnings"]))),
)
_APPLIED: Final[tuple[Column, ...]] = (
    ("RESULT", lambda item: item["result"]),
    ("NAME", lambda item: item["name"]),
    ("FILE", lambda item: item["file"]),
)


@click.group()
def pipeline() -> None:
    """Define pipelines and run them."""


@pipeline.command("list")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--cursor", help="Go on behind a page.")
@output_option
@pass_session
def list_(session: Session, limit: int, cursor: str | None, form: str) -> None:
    """List pipelines by name."""
    body = session.client.get("/pipelines", limit=limit, cursor=cursor)
    print_items(form, body, kind="pipeline", columns=_COLUMNS, wide=_WIDE, key="name")


@pipeline.command()
@click.argument("name", type=PIPELINE)
@output_option
@pass_session
def get(session: Session, name: str, form: str) -> None:
    """Show a pipeline with its spec."""
    print_one(form, session.client.get(path_of(name)), name=f"pipeline/{name}")


@pipeline.command()
@file_option
@output_option
@pass_session
def apply(session: Session, files: tuple[str, ...], form: str) -> None:
    """Put the pipelines of files; what is there already as it is said is `unchanged`.

    What runs goes on with the definition that it began with.
    """
    applied: list[dict[str, Any]] = []
    try:
        for document in read_documents(files):
            if kind_of(document) != "pipeline":
                raise Failure(
                    f"{document.place} is no pipeline: it has no jobs",
                    remedy="`jobctl apply` takes jobs and pipelines.",
                    exit_code=INVALID_SPEC,
                )
            applied.append(apply_pipeline(session.client, document))
    finally:
        print_items(form, {"items": applied}, kind="pipeline", columns=_APPLIED, key="name")


@pipeline.command()
@click.argument("name", type=PIPELINE)
@click.option(
    "--input", "inputs", multiple=True, metavar="K=V", help="An input; V is JSON or text."
)
@click.option("--inputs", "whole", metavar="JSON|@FILE", help="All inputs as an object.")
@click.option("--wait", "waits", is_flag=True, help="Wait for its end, exit by it.")
@click.option("--follow", "follows", is_flag=True, help="Tell of its steps meanwhile, then exit.")
@click.option("--idempotency-key", metavar="KEY", help="Begin one run of this key, ever.")
@output_option
@pass_session
def trigger(
    session: Session,
    name: str,
    inputs: tuple[str, ...],
    whole: str | None,
    waits: bool,
    follows: bool,
    idempotency_key: str | None,
    form: str,
) -> None:
    """Begin a run of a pipeline."""
    body = {"inputs": _inputs(inputs, whole)}
    answer = session.client.submit(f"{path_of(name)}/trigger", body=body, key=idempotency_key)
    run_id = str(answer.json["run_id"])
    if not waits and not follows:
        if form == "table":
            click.echo(run_id)
        else:
            print_one(form, answer.json, name=f"run/{run_id}")
        return
    if follows:
        follow_run(session.client, run_id, after=answer.headers["X-JobD-Revision"])
    ended = wait_for_run(session.client, run_id)
    if form != "table":
        print_one(form, ended, name=f"run/{run_id}")
    elif not follows:
        note(f"run/{run_id} {ended['state']}")
    exit_as_run(ended)


@pipeline.command()
@click.argument("name", type=PIPELINE)
@state_option
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option("--cursor", help="Go on behind a page.")
@output_option
@pass_session
def runs(
    session: Session, name: str, states: tuple[str, ...], limit: int, cursor: str | None, form: str
) -> None:
    """List the runs of a pipeline, the newest first."""
    query = {"state": states, "limit": limit, "cursor": cursor}
    print_runs(form, session.client.get(f"{path_of(name)}/runs", **query))


@pipeline.command()
@click.argument("name", type=PIPELINE)
@click.option("--if-match", type=int, metavar="REVISION", help="Only if it is at this revision.")
@pass_session
def delete(session: Session, name: str, if_match: int | None) -> None:
    """Delete a pipeline; what runs goes on."""
    headers = {} if if_match is None else {"If-Match": f'"{if_match}"'}
    session.client.request("DELETE", path_of(name), headers=headers)
    note(f"pipeline/{name} deleted")


def path_of(name: str) -> str:
    """Return where a pipeline is in the API."""
    return f"/pipelines/{quote(name, safe='')}"


def _inputs(pairs: tuple[str, ...], whole: str | None) -> dict[str, Any]:
    """Return inputs of `--input K=V` over those of `--inputs`; what is no JSON is text."""
    values: Any = {}
    if whole is not None:
        text = read_argument(whole) if whole.startswith("@") else whole.encode()
        try:
            values = json.loads(text)
        except ValueError as e:
            raise Failure(f"--inputs is no JSON: {e}", exit_code=USAGE) from None
        if not isinstance(values, dict):
            raise Failure("--inputs is no JSON object", exit_code=USAGE)
    for pair in pairs:
        key, equals, text_of = pair.partition("=")
        if not equals or not key:
            raise Failure(f"--input {pair!r} is not K=V", exit_code=USAGE)
        try:
            values[key] = json.loads(text_of)
        except ValueError:
            values[key] = text_of
    return dict(values)
