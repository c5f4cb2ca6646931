"""The graveyard: what a process still says of its actors that have ended."""

from __future__ import annotations

from collections import OrderedDict

from actors import limits
from actors.errors import ActorDied

__all__ = ["Graveyard"]


class Graveyard:
    """The last ENDED_ACTORS_KEPT deaths, by address. Used on the loop's thread."""

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
