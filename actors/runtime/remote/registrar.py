"""The registrar: keeps the names of this process at the node, over restarts of either's link.

The node forgets the names of a process that it has lost, so all are registered anew when its link
is there again, until that succeeds. A few are asked for at a time: more than a mailbox takes would
be refused, again and again the same ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from actors import limits
from actors.runtime.actor import Context, LoopActor, handles
from actors.runtime.effects import After, Ask, Effect, Effects
from actors.runtime.registry import Register
from actors.runtime.signals import Answered, Failed

__all__ = ["REGISTRAR", "RegisterAll", "Registrar"]

REGISTRAR: Final = "/registrar"
_RETRY: Final = "retry"
_AT_ONCE: Final = 64


class RegisterAll(msgspec.Struct, frozen=True):
    """Register every name of this process."""


class Registrar(LoopActor):
    """`own()` returns what this process's named actors are to be registered as."""

    def __init__(self, directory: str, own: Callable[[], list[Register]]) -> None:
        self._directory = directory
        self._own = own
        self._left: deque[Register] = deque()
        self._asked = 0

    @handles(RegisterAll)
    def _register_all(self, message: RegisterAll, context: Context) -> Effects:
        self._left = deque(self._own())
        return self._go_on()

    @handles(Answered)
    def _registered(self, message: Answered, context: Context) -> Effects:
        self._asked -= 1
        return self._go_on()

    @handles(Failed)
    def _failed(self, message: Failed, context: Context) -> Effects:
        """Try again: a name that someone else has taken meanwhile may become free."""
        self._asked -= 1
        return [*self._go_on(), After(limits.HEARTBEAT_S, RegisterAll(), key=_RETRY)]

    def _go_on(self) -> list[Effect]:
        asks: list[Effect] = []
        while self._left and self._asked < _AT_ONCE:
            self._asked += 1
            one = self._left.popleft()
            asks.append(Ask(self._directory, one, one.address))
        return asks
