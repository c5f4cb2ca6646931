"""`jobd`: the node process."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final

import click

from actors.errors import (
    ActorUnavailable,
    ConfigError,
    Corrupt,
    DataDirectory,
    Forbidden,
    JobdError,
    StorageFailed,
    Unauthenticated,
)
from jobd import config as configuration
from jobd.keys_command import keys

__all__ = ["main"]

# sysexits.h: data, unavailable, can't create, I/O, no permission, configuration; else internal.
_EXIT_CODES: Final[dict[type[JobdError], int]] = {
    Corrupt: 65,
    ActorUnavailable: 69,
    DataDirectory: 73,
    StorageFailed: 74,
    Forbidden: 77,
    Unauthenticated: 77,
    ConfigError: 78,
}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="jobd-cluster", prog_name="jobd")
def cli() -> None:
    """Run a JobD node."""


@cli.command()
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path), help="A jobd.yaml to read."
)
@click.option("--data", help="The data directory.  [default: ./jobd-data]")
@click.option("--name", help="The node's name.  [default: the host name]")
@click.option("--http", metavar="HOST:PORT", help="The HTTP API.  [default: 127.0.0.1:8080]")
@click.option(
    "--cluster", metavar="HOST:PORT", help="Clients and user actors.  [default: 127.0.0.1:7800]"
)
@click.option("--metrics", metavar="HOST:PORT", help="Metrics.  [default: 127.0.0.1:9090]")
@click.option("--slots", type=click.IntRange(1, 1024), help="Jobs at a time.  [default: cores]")
@click.option("--label", "labels", multiple=True, metavar="K=V", help="A label of the node.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
@click.option("--log-format", type=click.Choice(["json", "pretty"]))
@click.option(
    "--join", "join", multiple=True, metavar="HOST:PORT", help="Join the cluster of this node."
)
@click.option("--join-token", metavar="TOKEN", help="What `jobctl cluster token` printed.")
@click.option("--stop-jobs", is_flag=True, help="Cancel what runs before the node stops.")
@click.option(
    "--insecure-no-auth", is_flag=True, help="Ask for no token; only where HTTP is on loopback."
)
def start(
    config_file: Path | None,
    stop_jobs: bool,
    join: tuple[str, ...],
    join_token: str | None,
    **options: Any,
) -> None:
    """Start a node and serve until SIGTERM or SIGINT; running jobs go on without it."""
    try:
        config = configuration.load(config_file, os.environ, _flags(options))
        from jobd.node import boot, logs

        logs.configure(config.log.level, config.log.format)
        boot.run(config, boot.Options(stop_jobs, join, join_token or ""))
    except JobdError as error:
        _say(error)
        sys.exit(_EXIT_CODES.get(type(error), 70))


@cli.command()
@click.option("--nodes", type=click.IntRange(1, 7), default=3, show_default=True)
@click.option("--data", help="Where its data are kept.  [default: ./jobd-dev, removed at the end]")
@click.option(
    "--http",
    default="127.0.0.1:8080",
    show_default=True,
    metavar="HOST:PORT",
    help="The HTTP API of the first node; the others have the next ports.",
)
def dev(nodes: int, data: str | None, http: str) -> None:
    """Run a cluster on this machine, with demo jobs, to try and to break (`jobctl dev`)."""
    from jobd.dev import parent

    try:
        parent.run(nodes, data, http)
    except JobdError as error:
        _say(error)
        sys.exit(_EXIT_CODES.get(type(error), 70))


@cli.command("force-epoch")
@click.option("--data", required=True, help="The data directory of a stopped node.")
@click.option(
    "--new-cluster-id", is_flag=True, required=True, help="The node leaves its cluster for good."
)
@click.option("--yes", is_flag=True, help="Don't ask.")
def force_epoch(data: str, new_cluster_id: bool, yes: bool) -> None:
    """Let one node go on alone when the quorum of its cluster is lost for good.

    Writes that were acknowledged and that only the lost nodes knew are gone. The other nodes can't
    come back: empty their data directories, and have them join.
    """
    from jobd.node.offline import force_alone

    try:
        force_alone(Path(data), confirm=None if yes else click.confirm, say=click.echo)
    except JobdError as error:
        _say(error)
        sys.exit(_EXIT_CODES.get(type(error), 70))


@cli.command()
@click.argument("address", required=False)
@click.option("--token", help="The access token; JOBD_TOKEN.")
def repl(address: str | None, token: str | None) -> None:
    """Open a Python prompt with a cluster at hand, or run the program that comes through a pipe.

    ADDRESS is HOST:PORT of a node's cluster port; by default JOBD_ADDRESS or this machine's node.
    """
    from jobd.repl import console

    try:
        sys.exit(console.run(address, token))
    except JobdError as error:
        _say(error)
        sys.exit(_EXIT_CODES.get(type(error), 70))


def _say(error: JobdError) -> None:
    click.echo(f"jobd: {error.message}", err=True)
    if error.remedy:
        click.echo(f"      {error.remedy}", err=True)


def _flags(options: dict[str, Any]) -> dict[str, Any]:
    names = {
        "data": "node.data",
        "name": "node.name",
        "slots": "node.slots",
        "http": "http.bind",
        "cluster": "cluster.bind",
        "metrics": "telemetry.metrics",
        "log_level": "log.level",
        "log_format": "log.format",
    }
    flags = {
        names[key]: value for key, value in options.items() if key in names and value is not None
    }
    if options["insecure_no_auth"]:
        flags["auth.enabled"] = False
    if options["labels"]:
        flags["node.labels"] = dict(_label(text) for text in options["labels"])
    return flags


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigError(f"--label {text!r} is not K=V", remedy="for example --label zone=a")
    return name, value


cli.add_command(keys)


def main() -> None:
    """Run the command line."""
    cli(prog_name="jobd")


if __name__ == "__main__":
    main()
