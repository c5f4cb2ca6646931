"""The interpreter of effects: how each of them is carried out, in whatever host."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from actors.errors import InvalidInput
from actors.runtime.asks import ActorAsk
from actors.runtime.cell import Cell
from actors.runtime.effects import (
    After,
    Ask,
    CancelTimer,
    Fail,
    Item,
    Reply,
    Stop,
    Tell,
    Watch,
)
from actors.runtime.letter import Letter
from actors.runtime.outlet import Outlet
from actors.runtime.signals import Terminated

if TYPE_CHECKING:
    from actors.runtime.engine import Engine

__all__ = ["CARRY_OUT"]


def _tell(engine: Engine, cell: Cell, letter: Letter, effect: Tell) -> None:
    message = Letter(effect.message, None, cell.address, 0, letter.trace)
    engine.transmit(cell.address, effect.to, message)


def _ask(engine: Engine, cell: Cell, letter: Letter, effect: Ask) -> None:
    ask = ActorAsk(engine, cell, effect.tag, effect.to, letter.trace)
    deadline_ms = 0
    if effect.timeout_s is not None:
        deadline_ms = engine.now_ms() + int(effect.timeout_s * 1000)
        engine.deadlines.add(ask, deadline_ms)
    question = Letter(effect.message, ask, cell.address, deadline_ms, letter.trace)
    engine.transmit(cell.address, effect.to, question)


def _reply(engine: Engine, cell: Cell, letter: Letter, effect: Reply) -> None:
    if effect.to is not None:
        effect.to.set(effect.value)


def _fail(engine: Engine, cell: Cell, letter: Letter, effect: Fail) -> None:
    if effect.to is not None:
        effect.to.fail(effect.error)


def _item(engine: Engine, cell: Cell, letter: Letter, effect: Item) -> None:
    if isinstance(effect.to, Outlet):
        effect.to.item(effect.value)
    elif effect.to is not None:
        effect.to.fail(InvalidInput("its answer is a stream: ask for it with `stream`"))


def _after(engine: Engine, cell: Cell, letter: Letter, effect: After) -> None:
    key = effect.key if effect.key is not None else object()
    if cell.timers is None:
        cell.timers = {}
    elif key in cell.timers:
        cell.timers.pop(key).cancel()
    incarnation, message, trace = cell.incarnation, effect.message, letter.trace

    def fire() -> None:
        if cell.incarnation == incarnation and cell.timers is not None:
            cell.timers.pop(key)
            engine.put(cell, message, cell.address, trace)

    cell.timers[key] = engine.call_later(effect.delay_s, fire)


def _cancel_timer(engine: Engine, cell: Cell, letter: Letter, effect: CancelTimer) -> None:
    if cell.timers is not None and effect.key in cell.timers:
        cell.timers.pop(effect.key).cancel()


def _watch(engine: Engine, cell: Cell, letter: Letter, effect: Watch) -> None:
    watched = engine.cells.get(effect.address)
    if watched is None:
        route = engine.route_of(effect.address)
        if route is not None:
            route.watch(effect.address, cell.address)
        else:
            engine.put(cell, Terminated(effect.address, "unknown"), effect.address)
        return
    if watched.watchers is None:
        watched.watchers = {}
    watched.watchers[cell.address] = None
    if cell.watching is None:
        cell.watching = {}
    cell.watching[effect.address] = None


def _stop(engine: Engine, cell: Cell, letter: Letter, effect: Stop) -> None:
    engine.supervision.ended(cell, effect.reason, None)


CARRY_OUT: Final[dict[type, Callable[[Engine, Cell, Letter, Any], None]]] = {
    After: _after,
    Ask: _ask,
    CancelTimer: _cancel_timer,
    Fail: _fail,
    Item: _item,
    Reply: _reply,
    Stop: _stop,
    Tell: _tell,
    Watch: _watch,
}
