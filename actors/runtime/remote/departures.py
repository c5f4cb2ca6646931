"""Departures: calls that leave this process's handles, in order. Used on the loop's thread only.

A call that has refs among its arguments leaves when they are done; one of a failed ref fails with
that ref's error. Calls to the same actor that were made after it wait behind it, so calls of one
caller to one actor keep their order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from actors import limits
from actors.errors import Busy
from actors.runtime.invoke import Invoke
from actors.runtime.letter import Letter
from actors.runtime.remote.ref import Ref

__all__ = ["Departures", "refs_in"]


def refs_in(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Ref[Any]]:
    """Return the refs that are arguments themselves; those inside of lists and dicts are not."""
    values = (*args, *kwargs.values()) if kwargs else args
    return [value for value in values if value.__class__ is Ref]


class Departures:
    """`deliver(address, letter)` is the engine's."""

    def __init__(self, deliver: Callable[[str, Letter], None]) -> None:
        self._deliver = deliver
        self._held: dict[str, deque[Letter]] = {}

    def send(self, address: str, letter: Letter) -> None:
        """Send a call whose arguments are there, behind those that still wait for theirs."""
        if self._held and address in self._held:
            self.send_when_ready(address, letter)
        else:
            self._deliver(address, letter)

    def send_when_ready(self, address: str, letter: Letter) -> None:
        """Send a call once its arguments are there."""
        held = self._held.setdefault(address, deque())
        if len(held) >= limits.ASKS_PER_PEER:
            letter.fail(Busy(f"{len(held)} calls to {address} wait for their arguments"))
            return
        held.append(letter)
        if len(held) == 1:
            self._go_on(address)

    def _go_on(self, address: str) -> None:
        held = self._held.get(address)
        while held:
            letter = held[0]
            call: Invoke = letter.message
            for ref in refs_in(call.args, call.kwargs):
                if not ref.done:
                    ref.add_done_callback(partial(self._go_on, address))
                    return
            held.popleft()
            self._depart(address, letter)
        self._held.pop(address, None)

    def _depart(self, address: str, letter: Letter) -> None:
        call: Invoke = letter.message
        for ref in refs_in(call.args, call.kwargs):
            if (error := ref.failure()) is not None:
                letter.fail(error)
                return
        args = tuple(_value(each) for each in call.args)
        kwargs = {key: _value(each) for key, each in call.kwargs.items()}
        letter.message = Invoke(call.method, args, kwargs, call.call)
        self._deliver(address, letter)


def _value(argument: Any) -> Any:
    return argument.value() if isinstance(argument, Ref) else argument
