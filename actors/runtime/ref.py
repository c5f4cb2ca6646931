"""ActorRef: an address that one can send to. It stays good over restarts of its actor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pykka

from actors import limits

if TYPE_CHECKING:
    from actors.runtime.engine import Engine
    from actors.runtime.future import LoopFuture

__all__ = ["ActorRef"]


class ActorRef(pykka.ActorRef[Any]):
    """A Pykka ref that names an address of a host instead of one actor object."""

    def __init__(self, host: Engine, address: str) -> None:
        self._host = host
        self.actor_urn = address

    def __str__(self) -> str:
        return self.actor_urn

    @property
    def address(self) -> str:
        """Where it sends to."""
        return self.actor_urn

    def is_alive(self) -> bool:
        """Say whether the host has such an actor now."""
        return self.actor_urn in self._host.cells

    def tell(self, message: Any) -> None:
        """Send a message; what can't be delivered is a dead letter."""
        self._host.tell(self.actor_urn, message)

    def ask(  # type: ignore[override]
        self, message: Any, *, block: bool = False, timeout: float = limits.ASK_TIMEOUT_S
    ) -> Any:
        """Send a message and return the future of its answer, or the answer with `block`."""
        future = self._host.ask(self.actor_urn, message, timeout_s=timeout)
        return future.get(timeout=timeout) if block else future

    def stop(  # type: ignore[override]
        self, *, block: bool = False, timeout: float = limits.ASK_TIMEOUT_S
    ) -> LoopFuture[None]:
        """End the actor for good."""
        future = self._host.stop(self.actor_urn)
        if block:
            future.get(timeout=timeout)
        return future
