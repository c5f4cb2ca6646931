"""What is at hand at the prompt."""

from __future__ import annotations

import builtins
import inspect
import pydoc
import sys
import time
from typing import Any

import actors as user_actors
from actors import errors
from actors.core.history_port import QueryResult
from jobd.api.node_views import NodeView
from jobd.client import AsyncClient, Client
from jobd.repl.actor_tree import Actors
from jobd.repl.job import Jobs
from jobd.repl.table import Table, fields, grid, is_record

__all__ = ["display", "namespace"]

HELP = """\
client            the node's API: client.submit(...), client.logs(...), client.kv.get(...)
aclient           the same with await: await aclient.status()
jobs              the newest jobs; jobs(state="failed"), jobs["name"].logs(), jobs.submit({...})
nodes             the nodes
actors            the live tree; actors["/scheduler"].inspect(), .ping(), .watch()
get_actor(NAME)   an actor of yours, wherever it lives: get_actor("counter").add.remote(1)
status()          what the node says of itself
sql("select ...") the history: sql("select name, state from jobs")
events(*TYPES)    the last events; client.events("jobd:job:*") goes on with those to come
watch(THING)      show something again whenever it has changed, until Ctrl-C: watch(jobs)
help(THING)       what Python knows of it

Tab completes names, job ids and addresses; _ is the last value; await works at the prompt.
"""


class _Help:
    def __repr__(self) -> str:
        return HELP

    def __call__(self, *things: Any) -> None:
        """Say what is at hand, or what Python knows of a thing."""
        if things:
            pydoc.help(*things)
        else:
            sys.stdout.write(HELP)


class _Nodes:
    def __init__(self, client: Client) -> None:
        self._client = client

    def __repr__(self) -> str:
        return repr(self())

    def __call__(self) -> Table[NodeView]:
        """Return the nodes."""
        return Table(self._client.list_nodes())


def namespace(client: Client, aclient: AsyncClient) -> dict[str, Any]:
    """Return the names of a fresh prompt."""

    def events(*types: str, limit: int = 20) -> Table[Any]:
        """Return the last events of these types."""
        return Table(list(client.events(*types, follow=False))[-limit:])

    return {
        "__builtins__": builtins,
        "__name__": "__console__",
        "JobdError": errors.JobdError,
        "aclient": aclient,
        "actors": Actors(client),
        "client": client,
        "errors": errors,
        "events": events,
        "get": user_actors.get,
        "get_actor": client.get_actor,
        "help": _Help(),
        "jobs": Jobs(client),
        "nodes": _Nodes(client),
        "sql": client.query,
        "status": client.status,
        "watch": watch,
    }


def watch(thing: Any, every: float = 1.0, times: int | None = None) -> None:
    """Print something again whenever it has changed: a value at hand, or a function's.

    Until Ctrl-C, or for so many looks.
    """
    before = None
    try:
        while times is None or times > 0:
            value = thing() if inspect.isroutine(thing) else thing
            shown = _shown(value)
            if shown != before:
                sys.stdout.write(f"{time.strftime('%H:%M:%S')}\n{shown}\n")
                sys.stdout.flush()
                before = shown
            if times is not None:
                times -= 1
            if times != 0:
                time.sleep(every)
    except KeyboardInterrupt:
        sys.stdout.write("\n")


def display(value: Any) -> None:
    """Show the value of an expression, as `sys.displayhook` does."""
    if value is None:
        return
    builtins._ = None  # type: ignore[attr-defined]
    sys.stdout.write(f"{_shown(value)}\n")
    builtins._ = value  # type: ignore[attr-defined]


def _shown(value: Any) -> str:
    if isinstance(value, QueryResult):
        return "\n".join(grid(value.columns, value.rows))
    if is_record(value):
        return fields(value)
    if isinstance(value, list) and value and all(map(is_record, value)):
        return repr(Table(value))
    return repr(value)
