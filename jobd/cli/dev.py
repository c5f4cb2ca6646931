"""jobctl dev: the failure lab of a cluster that `jobd dev` runs on this machine."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any, Final

import click

from jobd.cli.failure import CONFLICT, NOT_FOUND, UNREACHABLE, USAGE, Failure
from jobd.cli.output import Column, note, output_option, print_items
from jobd.cli.session import Session, pass_session

__all__ = ["dev"]

_DIRECTORY: Final = "jobd-dev"
_SOCKET: Final = "dev.sock"
_ANSWER_S: Final = 60.0  # a restart waits for the node
_NODES: Final[tuple[Column, ...]] = (
    ("NAME", lambda item: item["name"]),
    ("STATE", lambda item: item["state"]),
    ("PID", lambda item: str(item["pid"] or "")),
    ("URL", lambda item: item["url"]),
    ("HEARS NOTHING OF", lambda item: ",".join(item["deaf_to"])),
)


@click.group()
def dev() -> None:
    """Break a cluster that `jobd dev` runs, and see what it does."""


@dev.command()
@output_option
@pass_session
def status(session: Session, form: str) -> None:
    """Show the nodes, and who is cut off from whom."""
    found = _ask(session, "status")
    for node in found["nodes"]:
        node["deaf_to"] = [a for a, b in found["cuts"] if b == node["name"]]
    print_items(form, {"items": found["nodes"]}, kind="node", columns=_NODES, key="name")


@dev.command()
@click.argument("node")
@click.option("--with-jobs", is_flag=True, help="What runs on it too, as when a machine dies.")
@pass_session
def kill(session: Session, node: str, with_jobs: bool) -> None:
    """Kill a node as `kill -9` does; its jobs go on without it."""
    _ask(session, "kill", node=node, with_jobs=with_jobs)
    note(f"{node} is dead; `jobctl dev restart {node}` brings it back")


@dev.command()
@click.argument("node")
@pass_session
def freeze(session: Session, node: str) -> None:
    """Stop a node's process as it stands (SIGSTOP)."""
    _ask(session, "freeze", node=node)
    note(f"{node} stands still; `jobctl dev thaw {node}` lets it go on")


@dev.command()
@click.argument("node")
@pass_session
def thaw(session: Session, node: str) -> None:
    """Let a frozen node go on."""
    _ask(session, "thaw", node=node)
    note(f"{node} goes on")


@dev.command()
@click.argument("node")
@pass_session
def restart(session: Session, node: str) -> None:
    """Start a node again, after stopping it if it runs."""
    _ask(session, "restart", node=node)
    note(f"{node} runs")


@dev.command()
@click.argument("node")
@click.option("--from", "other", metavar="NODE", help="From this node only.")
@click.option("--one-way", is_flag=True, help="Only what NODE sends is lost; it still hears.")
@pass_session
def cut(session: Session, node: str, other: str | None, one_way: bool) -> None:
    """Cut a node off from the others, as a network does that drops its packets."""
    _ask(session, "cut", node=node, one_way=one_way, **_from(other))
    note(f"{node} is cut off; `jobctl dev heal {node}` ends that")


@dev.command()
@click.argument("node", required=False, default="")
@click.option("--from", "other", metavar="NODE", help="What keeps it from this node only.")
@pass_session
def heal(session: Session, node: str, other: str | None) -> None:
    """End the cuts of a node, or all of them."""
    _ask(session, "heal", node=node, **_from(other))
    note(f"{node or 'every node'} reaches the others again")


def _from(other: str | None) -> dict[str, str]:
    return {} if other is None else {"from": other}


def _ask(session: Session, verb: str, **more: Any) -> dict[str, Any]:
    """Have the parent of the cluster do something; return how the cluster stands. Raises Failure.

    A directory that was named is that of the cluster, or of one of its nodes.
    """
    named = session.given.data or os.environ.get("JOBD_DATA") or _DIRECTORY
    for place in (Path(named), Path(named).absolute().parent):
        connection = _connect(place / "run")
        if connection is not None:
            break
    else:
        raise Failure(
            f"{named} has no cluster of `jobd dev`: only that can be broken on purpose",
            remedy="Start one with `jobd dev`, or name its directory with --data.",
            exit_code=USAGE,
        )
    with connection:
        connection.settimeout(_ANSWER_S)
        try:
            connection.sendall(json.dumps({"verb": verb, **more}).encode() + b"\n")
            answer = json.loads(connection.makefile("rb").readline() or b"{}")
        except OSError as error:
            raise Failure(f"`jobd dev` did not answer: {error}", exit_code=UNREACHABLE) from None
    if "ok" not in answer:
        raise _failure(answer)
    found: dict[str, Any] = answer["ok"]
    return found


def _failure(answer: dict[str, Any]) -> Failure:
    cause, remedy = answer.get("error", "`jobd dev` ended meanwhile"), answer.get("remedy", "")
    return Failure(
        cause,
        remedy=remedy and f"{remedy[0].upper()}{remedy[1:]}.",
        exit_code=NOT_FOUND if answer.get("code") == "not_found" else CONFLICT,
    )


def _connect(run: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        directory = os.open(run, os.O_PATH | os.O_DIRECTORY)
        try:
            # A socket's path has at most 107 bytes; through the descriptor any one is short.
            connection.connect(f"/proc/self/fd/{directory}/{_SOCKET}")
        finally:
            os.close(directory)
    except OSError:
        connection.close()
        return None
    return connection
