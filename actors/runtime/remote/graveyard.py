"""The graveyard: what a process still says of its actors that have ended.

Any message to an address below `<process>/actor/` that has no actor starts a `Grave` there, an
entity that answers for it and goes when idle.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable
from typing import Any

from actors import limits
from actors.errors import ActorDied
from actors.runtime.actor import Context, LoopActor
from actors.runtime.effects import Effects, Fail

__all__ = ["Graveyard"]


class Graveyard:
    """The last ENDED_ACTORS_KEPT deaths, by address."""

    def __init__(self) -> None:
        self._deaths: OrderedDict[str, ActorDied] = OrderedDict()

    def bury(self, address: str, death: ActorDied) -> None:
        """Keep why an actor has ended."""
        self._deaths[address] = death
        if len(self._deaths) > limits.ENDED_ACTORS_KEPT:
            self._deaths.popitem(last=False)

    def death_of(self, address: str) -> ActorDied:
        """Return the error of every call to an address that has no actor any more."""
        return self._deaths.get(address) or ActorDied(f"no actor is at {address} any more")

    def grave(self, address: str) -> Grave:
        """Return the actor that answers for one that has ended."""
        return Grave(self.death_of(address))


class Grave(LoopActor):
    """Answers everything with the same error."""

    def __init__(self, death: ActorDied) -> None:
        self._death = death

    def receive(self, message: Any, context: Context) -> Effects | Awaitable[Effects]:
        """Refuse."""
        return [Fail(context.reply, self._death)]
