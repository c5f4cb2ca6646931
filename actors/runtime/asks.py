"""An ask between actors, under way: its answer goes to the asker's mailbox as a message."""

from __future__ import annotations

import sys
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from actors.runtime.signals import Answered, Failed

if TYPE_CHECKING:
    from actors.runtime.cell import Cell
    from actors.runtime.engine import Engine

__all__ = ["ActorAsk"]


class ActorAsk:
    """The ReplyTo of an `Ask` effect.

    An answer counts for the incarnation that asked: the next one has no such question.
    """

    __slots__ = ("_cell", "_engine", "_incarnation", "_tag", "_target", "bucket", "done", "trace")

    def __init__(
        self, engine: Engine, cell: Cell, tag: Hashable, target: str, trace: str | None
    ) -> None:
        self._engine = engine
        self._cell = cell
        self._incarnation = cell.incarnation
        self._tag = tag
        self._target = target
        self.trace = trace
        self.done = False
        cell.asking += 1
        self.bucket: dict[Any, None] | None = None

    def set(self, value: Any = None) -> None:
        """Answer with a value."""
        self._engine.carry_answer(self, self._target, self._cell.address, value, None)

    def fail(self, error: BaseException) -> None:
        """Answer with an error."""
        self._engine.carry_answer(self, self._target, self._cell.address, None, error)

    def set_exception(self, exc_info: Any = None) -> None:
        """Answer with an error, as Pykka does."""
        error = (exc_info or sys.exc_info())[1]
        self.fail(error if error is not None else RuntimeError("no exception"))

    def settle(self, value: Any, error: BaseException | None) -> None:
        """Take the answer into the asker's mailbox, unless there was one."""
        if self.done:
            return
        self.done = True
        if self.bucket is not None:
            self.bucket.pop(self, None)
            self.bucket = None
        cell = self._cell
        if cell.incarnation == self._incarnation:
            cell.asking -= 1
            signal = Answered(self._tag, value) if error is None else Failed(self._tag, error)
            self._engine.put(cell, signal, self._target, self.trace)
