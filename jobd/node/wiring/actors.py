"""The pinned actors of a node: how they are spawned, and the present instance of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actors.errors import JobdError
from actors.runtime import LoopHost
from actors.runtime.actor import Behaviour

__all__ = ["PinnedActors"]


class PinnedActors:
    """Spawns them; `present` has the present instance of each by address."""

    def __init__(self, host: LoopHost) -> None:
        self._host = host
        self.present: dict[str, Any] = {}

    def __getitem__(self, address: str) -> Any:
        return self.present[address]

    def spawn(
        self, address: str, factory: Callable[[], Behaviour], parent: str | None = None
    ) -> None:
        """Have an actor there; after a crash its parent makes another."""

        def make() -> Any:
            actor = self.present[address] = factory()
            return actor

        self._host.spawn(make, address, parent=parent)

    def spawn_once(self, address: str, factory: Callable[[], Behaviour]) -> None:
        """Spawn what holds promises to others: when it crashes, the node restarts from its log."""

        def make() -> Any:
            if address in self.present:
                raise JobdError(
                    f"{address} crashed; what it had promised can't be kept by another instance",
                    remedy="start the node again: it recovers from its log",
                )
            return factory()

        self.spawn(address, make)
