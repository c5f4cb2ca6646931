"""The command line: `jobctl`."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from jobd.cli.actor import actor
from jobd.cli.api import api
from jobd.cli.apply import apply, diff, plan, validate
from jobd.cli.audit import audit
from jobd.cli.backup import backup
from jobd.cli.client import Refused
from jobd.cli.cluster import cluster
from jobd.cli.complete import CONTEXT
from jobd.cli.completion import COMPLETE_VARIABLE, completion
from jobd.cli.context import context as context_
from jobd.cli.dev import dev
from jobd.cli.discovery import Given
from jobd.cli.event import event
from jobd.cli.failure import CANCELLED, USAGE, Failure
from jobd.cli.hook import hook
from jobd.cli.import_ import import_
from jobd.cli.job import job
from jobd.cli.job_create import run
from jobd.cli.kv import kv
from jobd.cli.node import node, status
from jobd.cli.output import note_problems
from jobd.cli.pipeline import pipeline
from jobd.cli.run import runs
from jobd.cli.schedule import schedule
from jobd.cli.secret import secret
from jobd.cli.session import Session
from jobd.cli.sql import sql
from jobd.cli.store import store
from jobd.cli.token import token
from jobd.cli.top import top
from jobd.cli.trigger import trigger

__all__ = ["cli", "main"]


def _print_version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        import jobd

        click.echo(f"jobctl {jobd.__version__}")
        ctx.exit()


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--url", help="A node's URL, or several by commas; JOBD_URL.")
@click.option("--token", help="The access token; JOBD_TOKEN.")
@click.option("--data", help="A node's data directory, to find its URL and token in; JOBD_DATA.")
@click.option("--context", type=CONTEXT, help="A context of `jobctl context`; JOBD_CONTEXT.")
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version,
    help="Show the version.",
)  # fmt: skip
@click.pass_context
def cli(
    ctx: click.Context,
    url: str | None,
    token: str | None,
    data: str | None,
    context: str | None,
) -> None:
    """Run jobs on a JobD node and see what becomes of them.

    On the node's own machine its URL and token are found without configuration.
    """
    ctx.obj = Session(Given(url, token, data, context))


for command in (
    actor, api, apply, audit, backup, cluster, completion, context_, dev, diff, event, hook,
    import_, job, kv, node, pipeline, plan, run, runs, schedule, secret, sql, status, store, token,
    top, trigger, validate,
):  # fmt: skip
    cli.add_command(command)


def main(args: list[str] | None = None) -> None:
    """Run jobctl and exit: 0, the job's own code, or one of `jobd.cli.failure`."""
    sys.exit(_run(args))


def _run(args: list[str] | None) -> int:
    if COMPLETE_VARIABLE in os.environ:
        # Somebody is typing: whatever goes wrong is not for their line.
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115
    try:
        result: Any = cli.main(args, prog_name="jobctl", standalone_mode=False)
        sys.stdout.flush()
    except Failure as e:
        _say(e)
        return e.exit_code
    except click.ClickException as e:
        _say_usage(e)
        return USAGE
    except (KeyboardInterrupt, click.Abort):
        return CANCELLED
    except BrokenPipeError:
        # Whoever read the output has enough; the interpreter must not fail again at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return result if isinstance(result, int) else 0


def _say_usage(error: click.ClickException) -> None:
    """One line of cause, one of remedy: the word that was meant, or where help is."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "jobctl"
    cause, remedy = error.format_message(), f"See `{path} --help`."
    if isinstance(error, click.NoSuchCommand | click.NoSuchOption):
        cause = error.message
        meant = list(error.possibilities or ())
        if isinstance(error, click.NoSuchCommand):
            meant = [f"{path} {name}" for name in meant]
            meant += _elsewhere(error.command_name) if path == "jobctl" else []
        if meant:
            remedy = f"Did you mean {' or '.join(f'`{words}`' for words in meant)}?"
    click.echo(f"jobctl: {cause}\n  {remedy}", err=True)


def _elsewhere(verb: str) -> list[str]:
    """Where a verb is that was looked for without its noun: `jobctl logs`."""
    return [
        f"jobctl {noun} {verb}"
        for noun, group in cli.commands.items()
        if isinstance(group, click.Group) and verb in group.commands
    ]


def _say(failure: Failure) -> None:
    """One line of cause, one of remedy; of a spec every problem with its place."""
    cause = failure.cause
    if isinstance(failure, Refused) and failure.problems:
        cause = "the spec is wrong; nothing was submitted"
        note_problems(failure.file, failure.problems)
    click.echo(f"jobctl: {cause}", err=True)
    if failure.remedy:
        click.echo(f"  {failure.remedy}", err=True)


if __name__ == "__main__":
    main()
