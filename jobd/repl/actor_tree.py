"""`actors` at the prompt: the live tree of the node, and one actor of it to look into."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actors.errors import NotFound
from actors.runtime.cell import ActorRow
from jobd.api.node_views import ActorView
from jobd.client import Client
from jobd.client.operation import Operation
from jobd.repl.table import Table, fields, lines_of

__all__ = ["Actors", "NodeActor"]


class NodeActor:
    """One actor of the node. What it shows is read when it is shown."""

    def __init__(self, client: Client, address: str) -> None:
        self.address = address
        self._client = client

    def __repr__(self) -> str:
        return fields(self.view())

    def view(self) -> ActorView:
        """Return its row of the tree: mailbox depth, rate, time in handlers, restarts."""
        for row in self._client.list_actors(self.address):
            if row.address == self.address:
                return row
        raise NotFound(f"no actor lives at {self.address}", remedy="`actors` shows those that do.")

    def inspect(self) -> ActorRow:
        """Return what it says of itself, from its own turn: a wedged actor does not answer."""
        return self._client.inspect(self.address)

    def ping(self) -> int:
        """Return its incarnation, from its own turn."""
        return self._client.ping(self.address)

    def ask(self, message: Any) -> Any:
        """Ask it what is open to clients; anything else is Forbidden."""
        return self._client.call(Operation(message, _plain, "once", to=self.address))

    def watch(self, timeout_s: float | None = None) -> str:
        """Wait until it has ended for good and return the reason."""
        return self._client.watch(self.address, timeout_s)


class Actors:
    """The live tree; `actors["/scheduler"]` is one of it, `actors("/slot")` a part of it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __repr__(self) -> str:
        ordered = list(_depth_first(list(self._client.list_actors())))
        rows = [row for row, _ in ordered]
        return "\n".join(lines_of(rows, [depth for _, depth in ordered])) if rows else "nothing"

    def __call__(self, prefix: str = "") -> Table[ActorView]:
        """Return the actors whose address begins so."""
        return Table(self._client.list_actors(prefix))

    def __iter__(self) -> Iterator[ActorView]:
        return self._client.list_actors()

    def __getitem__(self, address: str) -> NodeActor:
        """Return an actor by its address. Raises NotFound."""
        actor = NodeActor(self._client, address)
        actor.view()
        return actor

    def keys_like(self, prefix: str) -> list[str]:
        """Return what `actors[...]` may go on with."""
        return [row.address for row in self._client.list_actors(prefix)]


def _depth_first(rows: list[ActorView]) -> Iterator[tuple[ActorView, int]]:
    """Yield the rows of a tree, children behind their parent, each with its depth."""
    known = {row.address for row in rows}
    below: dict[str | None, list[ActorView]] = {}
    for row in rows:
        below.setdefault(row.parent if row.parent in known else None, []).append(row)

    def walk(parent: str | None, depth: int) -> Iterator[tuple[ActorView, int]]:
        for row in below.get(parent, ()):
            yield row, depth
            yield from walk(row.address, depth + 1)

    return walk(None, 0)


def _plain(answer: Any) -> Any:
    return answer
