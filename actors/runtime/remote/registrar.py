"""The registrar: keeps the names of this process at the node, over restarts of either's link.

The node forgets the names of a process that it has lost, so all are registered anew when its link
is there again, until that succeeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from actors import limits
from actors.runtime.actor import Context, LoopActor, handles
from actors.runtime.effects import After, Ask, Effects
from actors.runtime.registry import Register
from actors.runtime.signals import Answered, Failed

__all__ = ["REGISTRAR", "RegisterAll", "Registrar"]

REGISTRAR: Final = "/registrar"
_RETRY: Final = "retry"


class RegisterAll(msgspec.Struct, frozen=True):
    """Register every name of this process."""


class Registrar(LoopActor):
    """`own()` returns what this process's named actors are to be registered as."""

    def __init__(self, directory: str, own: Callable[[], list[Register]]) -> None:
        self._directory = directory
        self._own = own

    @handles(RegisterAll)
    def _register_all(self, message: RegisterAll, context: Context) -> Effects:
        return [Ask(self._directory, each, each.address) for each in self._own()]

    @handles(Failed)
    def _failed(self, message: Failed, context: Context) -> Effects:
        """Try again: a name that someone else has taken meanwhile may become free."""
        return [After(limits.HEARTBEAT_S, RegisterAll(), key=_RETRY)]

    @handles(Answered)
    def _registered(self, message: Answered, context: Context) -> None:
        """Do nothing: it is as it should be."""
