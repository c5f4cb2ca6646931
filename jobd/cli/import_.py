"""jobctl import: other schedulers' files as job specs."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from jobd.cli.failure import INVALID_SPEC, USAGE, Failure
from jobd.cli.job_spec import read_argument
from jobd.cli.output import note, note_problems

if TYPE_CHECKING:
    from jobd.cli.importers.imported import Imported

__all__ = ["import_"]

FORMATS: Final = ("crontab", "k8s-cronjob", "cloud-run", "nomad", "github-actions")


@click.command("import")
@click.argument("format_", metavar="FORMAT", type=click.Choice(FORMATS))
@click.argument("file", metavar="FILE|-")
@click.option("--system", is_flag=True, help="A crontab that names a user before the command.")
def import_(format_: str, file: str, system: bool) -> None:
    """Turn another scheduler's file into specs, on stdout; no node is asked.

    FORMAT is crontab, k8s-cronjob, cloud-run, nomad (its JSON) or github-actions. What has no
    equivalent is said on stderr, line by line: read it before you apply the specs.
    """
    from jobd.cli.importers.imported import as_yaml

    if system and format_ != "crontab":
        raise Failure("--system is for crontab", exit_code=USAGE)
    made = _reader(format_, system)(read_argument(f"@{file}"))
    good = [spec for spec in made.specs if _is_valid(file, spec)]
    click.echo(as_yaml(good), nl=False)
    for line in made.notes:
        note(line)
    note(f"{len(good)} of {len(made.specs)} specs are valid; {len(made.notes)} notes")
    if len(good) < len(made.specs) or not good:
        raise Failure("not everything was imported", exit_code=INVALID_SPEC)


def _reader(format_: str, system: bool) -> Callable[[bytes], Imported]:
    match format_:  # each loads its own
        case "crontab":
            from jobd.cli.importers.crontab import read_crontab

            return partial(read_crontab, system=system)
        case "k8s-cronjob":
            from jobd.cli.importers.k8s_cronjob import read_cronjobs

            return read_cronjobs
        case "cloud-run":
            from jobd.cli.importers.cloud_run import read_cloud_run

            return read_cloud_run
        case "nomad":
            from jobd.cli.importers.nomad import read_nomad

            return read_nomad
    from jobd.cli.importers.github_actions import read_workflow

    return read_workflow


def _is_valid(file: str, spec: dict[str, object]) -> bool:
    """Say whether a spec is one; what is wrong with it is told."""
    from actors.core.spec import job_from_mapping
    from actors.errors import InvalidSpec

    try:
        job_from_mapping(spec, now_ms=time.time_ns() // 1_000_000)
    except InvalidSpec as e:
        note_problems(f"{file}: {spec['name']}", [problem._asdict() for problem in e.problems])
        return False
    return True
