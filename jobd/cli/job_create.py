"""jobctl job create, job batch and run: from flags or a file to a job."""

from __future__ import annotations

from typing import Any

import click

from jobd.cli.client import Refused
from jobd.cli.documents import check, file_option, read_documents, values_of
from jobd.cli.failure import SERVER_ERROR, USAGE, Failure
from jobd.cli.follow import (
    cancelling_on_interrupt,
    exit_as,
    follow_log,
    leaving_on_interrupt,
    wait_for,
)
from jobd.cli.job_spec import (
    DASHES,
    TYPES,
    SpecCommand,
    make_spec,
    name_of,
    read_spec_file,
    spec_options,
)
from jobd.cli.output import note, output_option, print_items, print_one
from jobd.cli.session import Session, pass_session

__all__ = ["batch", "create", "run"]


@click.command(cls=SpecCommand)
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
    jobctl job create nightly --cron "0 2 * * *" -- backup    a schedule of that name
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
    if defined := made.get("defined", ""):
        if wait or follow:
            raise Failure(f"{defined} is defined; it is no job to wait for", exit_code=USAGE)
        _print_defined(form, made)
    elif wait or follow:
        with leaving_on_interrupt(made["id"]):
            ended = (
                follow_log(session.client, made["id"], attempt=1)
                if follow
                else wait_for(session.client, made["id"])
            )
        if form != "table" and not follow:
            print_one(form, ended, name=f"job/{made['id']}")
        exit_as(ended)
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
    if spec.get("trigger", {}).keys() & {"cron", "every"}:
        raise Failure(
            "run runs a command now",
            remedy="`jobctl job create --cron` makes a schedule.",
            exit_code=USAGE,
        )
    made = _submit(session, spec, {}, idempotency_key)
    with cancelling_on_interrupt(session.client, made["id"]):
        ended = follow_log(session.client, made["id"], attempt=1)
    exit_as(ended)


@click.command()
@file_option
@click.option("--idempotency-key", metavar="KEY", help="Make these jobs once, ever.")
@output_option
@pass_session
def batch(session: Session, files: tuple[str, ...], idempotency_key: str | None, form: str) -> None:
    """Create the jobs of one or several files in one request, all or none of them valid."""
    documents = read_documents(files)
    check(documents)
    jobs = [values_of(document) for document in documents]
    reply = session.client.submit("/jobs/batch", body={"jobs": jobs}, key=idempotency_key).json
    made = [item for item in reply["items"] if "problem" not in item]
    print_items(form, {"items": made}, kind="job", columns=(("ID", lambda item: item["id"]),))
    refused = [item["problem"] for item in reply["items"] if "problem" in item]
    for document, item in zip(documents, reply["items"], strict=True):
        if "problem" in item:
            note(f"{document.place}: {item['problem']['detail']}")
    if refused:
        raise Failure(
            f"{len(refused)} of {len(jobs)} jobs were not accepted",
            remedy=refused[0].get("remedy", ""),
            exit_code=SERVER_ERROR,
        )


def _print_defined(form: str, made: dict[str, Any]) -> None:
    if form == "table":
        click.echo(made["defined"])
    else:
        print_one(form, made, name=made["defined"])


def _submit(
    session: Session, body: Any, headers: dict[str, str], key: str | None
) -> dict[str, Any]:
    made: dict[str, Any] = session.client.submit("/jobs", body=body, headers=headers, key=key).json
    return made
