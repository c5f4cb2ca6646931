"""Entities: actors that start on their first message and go when idle.

An entity keeps nothing that the store doesn't have, so that it may go at any moment: idle, after
too many crashes, or with its node. What arrives while it goes is kept for its next incarnation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from actors.runtime.cell import AnyActor, Cell

if TYPE_CHECKING:
    from actors.runtime.engine import Engine

__all__ = ["PASSIVATED", "Entities"]

PASSIVATED: Final = "passivated"
_SWEEPS_PER_IDLE_TIME: Final = 2  # an entity goes after 1 to 1.5 times its idle time
_SWEPT_PER_TURN: Final = 1_000


class _Seen(NamedTuple):
    handled: int
    since_ms: int  # when the count was first seen


class _Kind(NamedTuple):
    factory: Callable[[str], AnyActor]
    idle_s: float
    seen: dict[str, _Seen]  # its active entities


class Entities:
    """The kinds of entities of a host, by address prefix (which ends with a slash)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kinds: dict[str, _Kind] = {}

    def register(self, prefix: str, factory: Callable[[str], AnyActor], idle_s: float) -> None:
        """Make addresses with this prefix entities. Raises ValueError for a bad or taken one."""
        if not prefix.endswith("/") or prefix in self._kinds:
            raise ValueError(f"{prefix} is taken, or doesn't end with a slash")
        self._kinds[prefix] = _Kind(factory, idle_s, {})

    def unregister(self, prefix: str) -> None:
        """Forget the kinds whose prefix begins so; their active entities stay."""
        for known in [each for each in self._kinds if each.startswith(prefix)]:
            del self._kinds[known]

    def activate(self, address: str) -> Cell | None:
        """Return a new cell for an address, not yet started, or None when it is of no kind."""
        prefix = address[: address.rfind("/") + 1]
        kind = self._kinds.get(prefix)
        if kind is None or len(prefix) == len(address):
            return None
        supervision = self._engine.supervision
        cell = Cell(address, partial(kind.factory, address), "transient", supervision.root)
        cell.entity = prefix
        if not kind.seen:
            self._sweep_later(prefix)
        kind.seen[address] = _Seen(0, self._engine.now_ms())
        return supervision.enter(cell)

    def forget(self, cell: Cell) -> None:
        """Note that an entity has ended."""
        kind = self._kinds.get(cell.entity) if cell.entity is not None else None
        if kind is not None:
            kind.seen.pop(cell.address, None)

    def _sweep_later(self, prefix: str) -> None:
        pause_s = self._kinds[prefix].idle_s / _SWEEPS_PER_IDLE_TIME
        self._engine.call_later(pause_s, self._sweep, prefix, None)

    def _sweep(self, prefix: str, left: list[str] | None) -> None:
        """Look at some entities of a kind, then let others run."""
        kind = self._kinds.get(prefix)
        if kind is None:
            return
        addresses = list(kind.seen) if left is None else left
        for address in addresses[:_SWEPT_PER_TURN]:
            self._look_at(kind, address)
        if len(addresses) > _SWEPT_PER_TURN:
            self._engine.call_later(0, self._sweep, prefix, addresses[_SWEPT_PER_TURN:])
        elif kind.seen:
            self._sweep_later(prefix)

    def _look_at(self, kind: _Kind, address: str) -> None:
        seen = kind.seen.get(address)
        cell = self._engine.cells.get(address)
        if seen is None or cell is None:
            return
        now_ms = self._engine.now_ms()
        if cell.handled != seen.handled or not cell.is_idle():
            kind.seen[address] = _Seen(cell.handled, now_ms)
        elif now_ms - seen.since_ms >= kind.idle_s * 1000:
            self._engine.supervision.terminate(cell, PASSIVATED)
