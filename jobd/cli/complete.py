"""Arguments whose values a shell completes: names and ids that the node has at this moment.

Completing never fails and never takes long: without an answer within 300 ms there is no proposal,
and nothing is ever said into the line that somebody is typing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import click

from jobd.cli.client import Client
from jobd.cli.config_file import LOCAL, ConfigFile
from jobd.cli.discovery import Given, discover

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = [
    "ACTOR",
    "CONTEXT",
    "HOOK",
    "JOB",
    "KV",
    "NODE",
    "PIPELINE",
    "RUN",
    "SCHEDULE",
    "SECRET",
    "TOKEN",
    "TRIGGER",
    "Live",
]

CAP_S: Final = 0.3
LIMIT: Final = 100

Proposal = tuple[str, str]  # what to type, and what it is


class Live(click.ParamType[str]):
    """Text for which the API knows proposals: `ask` yields them for what is typed so far."""

    def __init__(self, name: str, ask: Callable[[Client, str], Iterator[Proposal]]) -> None:
        self.name = name
        self._ask = ask

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text as it is: the node judges it."""
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        """Return what begins so, each once; nothing on any trouble."""
        from click.shell_completion import CompletionItem

        found: list[Proposal] = []
        given = ctx.find_root().params

        def ask() -> None:
            with suppress(Exception):
                place = Given(*(given.get(field) for field in Given._fields))
                client = Client(lambda: discover(place, os.environ), timeout_s=CAP_S)
                found.extend(self._ask(client, incomplete))

        # A limit for all of it: a socket's own would count from each byte anew.
        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(CAP_S)
        fitting = dict(item for item in tuple(found) if item[0].startswith(incomplete))
        return [CompletionItem(value, help=text) for value, text in fitting.items()]


class _ContextName(click.ParamType[str]):
    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        from click.shell_completion import CompletionItem

        names = [LOCAL]
        with suppress(Exception):
            names += ConfigFile.read(os.environ).contexts
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _actors(client: Client, typed: str) -> Iterator[Proposal]:
    for actor in client.get("/actors", prefix=typed, limit=LIMIT)["items"]:
        yield actor["address"], actor["class"]


def _jobs(client: Client, typed: str) -> Iterator[Proposal]:
    """Names, the newest first; ids once something of one is typed."""
    items = client.get("/jobs", q=typed, limit=LIMIT)["items"]
    for job in items:
        yield job["name"], f"{job['state']} {job['id']}"
    for job in items if typed else ():
        yield job["id"], f"{job['name']} {job['state']}"


def _pipelines(client: Client, typed: str) -> Iterator[Proposal]:
    for pipeline in client.get("/pipelines", limit=LIMIT)["items"]:
        yield pipeline["name"], f"{pipeline['steps']} steps"


def _runs(client: Client, typed: str) -> Iterator[Proposal]:
    """Pipelines that have run, the newest first; ids once something of one is typed."""
    items = client.get("/runs", limit=LIMIT)["items"]
    for run in items:
        yield run["pipeline"], f"{run['state']} {run['id']}"
    for run in items if typed else ():
        yield run["id"], f"{run['pipeline']} {run['state']}"


def _tokens(client: Client, typed: str) -> Iterator[Proposal]:
    for token in client.get("/tokens")["items"]:
        yield token["id"], token["name"]


def _nodes(client: Client, typed: str) -> Iterator[Proposal]:
    for node in client.get("/nodes")["items"]:
        yield node["name"], f"{node['state']} {node['id']}"


def _schedules(client: Client, typed: str) -> Iterator[Proposal]:
    for item in client.get("/schedules", prefix=typed, limit=LIMIT)["items"]:
        yield item["name"], f"{item['state']}, next {item['next_at']}"


def _secrets(client: Client, typed: str) -> Iterator[Proposal]:
    for secret in client.get("/secrets", limit=LIMIT)["items"]:
        yield secret["name"], f"of {secret['updated_at']}"


def _hooks(client: Client, typed: str) -> Iterator[Proposal]:
    for hook in client.get("/hooks", limit=LIMIT)["items"]:
        yield hook["name"], hook["url"] or hook["starts"]


def _triggers(client: Client, typed: str) -> Iterator[Proposal]:
    for trigger in client.get("/triggers", limit=LIMIT)["items"]:
        yield trigger["name"], trigger["starts"] or trigger["emits"]


def _values(client: Client, typed: str) -> Iterator[Proposal]:
    """Keys, once the namespace is typed: there is no list of namespaces."""
    namespace, slash, prefix = typed.partition("/")
    if slash:
        for item in client.get(f"/kv/{namespace}", prefix=prefix, limit=LIMIT)["items"]:
            yield f"{namespace}/{item['key']}", f"{item['size_bytes']} bytes"


ACTOR: Final = Live("address", _actors)
CONTEXT: Final = _ContextName()
HOOK: Final = Live("hook", _hooks)
JOB: Final = Live("job", _jobs)
KV: Final = Live("value", _values)
NODE: Final = Live("node", _nodes)
PIPELINE: Final = Live("pipeline", _pipelines)
RUN: Final = Live("run", _runs)
SCHEDULE: Final = Live("schedule", _schedules)
SECRET: Final = Live("secret", _secrets)
TOKEN: Final = Live("token", _tokens)
TRIGGER: Final = Live("trigger", _triggers)
