"""The command line: `jobctl`."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from jobd.cli.client import Refused
from jobd.cli.data import event, kv
from jobd.cli.failure import CANCELLED, USAGE, Failure
from jobd.cli.job import job, run
from jobd.cli.node import api, status, token
from jobd.cli.session import Session
from jobd.cli.store import store

__all__ = ["cli", "main"]


def _print_version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        import jobd

        click.echo(f"jobctl {jobd.__version__}")
        ctx.exit()


class _Commands(click.Group):
    """Says where a command is that was looked for without its noun: `jobctl logs`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self.commands and name in job.commands:
            raise click.UsageError(
                f"No such command '{name}'. Did you mean 'jobctl job {name}'?", ctx
            )
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--url", help="The node's URL; JOBD_URL.")
@click.option("--token", help="The access token; JOBD_TOKEN.")
@click.option("--data", help="A node's data directory, to find its URL and token in; JOBD_DATA.")
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version,
    help="Show the version.",
)  # fmt: skip
@click.pass_context
def cli(ctx: click.Context, url: str | None, token: str | None, data: str | None) -> None:
    """Run jobs on a JobD node and see what becomes of them.

    On the node's own machine its URL and token are found without configuration.
    """
    ctx.obj = Session(url, token, data)


for command in (api, event, job, kv, run, status, store, token):
    cli.add_command(command)


def main(args: list[str] | None = None) -> None:
    """Run jobctl and exit: 0, the job's own code, or one of `jobd.cli.failure`."""
    sys.exit(_run(args))


def _run(args: list[str] | None) -> int:
    try:
        result: Any = cli.main(args, prog_name="jobctl", standalone_mode=False)
        sys.stdout.flush()
    except Failure as e:
        _say(e)
        return e.exit_code
    except click.ClickException as e:
        e.show()
        return USAGE
    except (KeyboardInterrupt, click.Abort):
        return CANCELLED
    except BrokenPipeError:
        # Whoever read the output has enough; the interpreter must not fail again at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return result if isinstance(result, int) else 0


def _say(failure: Failure) -> None:
    """One line of cause, one of remedy; of a spec every problem with its place."""
    cause = failure.cause
    if isinstance(failure, Refused) and failure.problems:
        cause = "the spec is wrong; nothing was submitted"
        for problem in failure.problems:
            file, line, column = failure.file, problem["line"], problem["column"]
            place = f"{file}:{line}:{column}: " if file and line else ""
            click.echo(f"{place}{problem['path']}: {problem['message']}", err=True)
    click.echo(f"jobctl: {cause}", err=True)
    if failure.remedy:
        click.echo(f"  {failure.remedy}", err=True)


if __name__ == "__main__":
    main()
