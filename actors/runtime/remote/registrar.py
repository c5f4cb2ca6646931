"""The registrar: keeps the names of this process at the node, over restarts of either's link.

The node forgets the names of a process that it lost. So this actor watches the directory, and when
that is gone it registers every name anew until that succeeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from actors import limits
from actors.runtime.actor import Context, LoopActor, handles
from actors.runtime.effects import After, Ask, Effects, Watch
from actors.runtime.registry import Register
from actors.runtime.signals import Answered, Failed, Terminated

__all__ = ["Registrar"]

_CHECK: Final = "check"


class _Again(msgspec.Struct, frozen=True):
    """Register what has a name."""


class Registrar(LoopActor):
    """`own()` returns what this process's named actors are to be registered as."""

    def __init__(self, directory: str, own: Callable[[], list[Register]]) -> None:
        self._directory = directory
        self._own = own

    def on_start(self) -> Effects:
        """Watch the directory, which has the names: `connect` has registered them."""
        return [Watch(self._directory)]

    @handles(Terminated)
    def _gone(self, message: Terminated, context: Context) -> Effects:
        return [After(limits.HEARTBEAT_S, _Again(), key=_CHECK)]

    @handles(_Again)
    def _again(self, message: _Again, context: Context) -> Effects:
        return [
            Watch(self._directory),
            *(Ask(self._directory, each, each.address) for each in self._own()),
        ]

    @handles(Failed)
    def _failed(self, message: Failed, context: Context) -> Effects:
        """Try again: a name that someone else has taken meanwhile may become free."""
        return [After(limits.HEARTBEAT_S, _Again(), key=_CHECK)]

    @handles(Answered)
    def _registered(self, message: Answered, context: Context) -> Effects:
        return None
