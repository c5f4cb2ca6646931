"""An outlet: where the items of a stream go, and how many of them its reader has asked for.

It is the `context.reply` of a question that was asked with `stream`. Rules:
1. What is sent is never further ahead of its reader than the credit: items and bytes. Items go
   while both are above zero, so the last one may overdraw the bytes by its own size.
2. What one turn sends beyond the bytes is held here until there are more, and the end behind it.
   An item beyond the items fails the stream with Busy.
3. It ends once: by the producer's answer or error, by the reader, with the actor that was asked,
   or with the link between them.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from actors.errors import Busy, TooLarge
from actors.runtime.future import LoopFuture
from actors.runtime.signals import StreamClosed, StreamCredit

if TYPE_CHECKING:
    from actors.runtime.cell import Cell
    from actors.runtime.engine import Engine

__all__ = ["Outlet", "Sink"]


class Sink(Protocol):
    """The reader's end of a stream, or the way to it."""

    def item(self, number: int, value: Any) -> int:
        """Take an item (the first is 1) and return its size in bytes. Raises TypeError, TooLarge"""

    def end(self, sent: int, value: Any, error: BaseException | None) -> None:
        """Take the end, behind so many items."""


class Outlet:
    """The producer's end of a stream; a `ReplyTo` that takes items first."""

    __slots__ = (
        "_bytes",
        "_cell",
        "_end",
        "_engine",
        "_held",
        "_items",
        "_sent",
        "_waiting",
        "done",
        "sink",
    )

    def __init__(self, engine: Engine, sink: Sink, items: int, size: int) -> None:
        self.sink = sink
        self.done = False
        self._engine = engine
        self._items = items
        self._bytes = size
        self._sent = 0
        self._held: deque[Any] = deque()  # items that wait for bytes
        self._end: tuple[Any, BaseException | None] | None = None  # waits behind them
        self._cell: Cell | None = None
        self._waiting: LoopFuture[bool] | None = None

    def bind(self, cell: Cell | None) -> None:
        """Let it end with the actor that it was asked of, which hears of credit and of the end."""
        if cell is not None and not self.done:
            self._cell = cell
            if cell.streams is None:
                cell.streams = {}
            cell.streams[self] = None

    # -- the producer

    @property
    def items(self) -> int:
        """How many items may be sent now; 0 without room."""
        return 0 if self.done or self._held or self._bytes <= 0 else max(0, self._items)

    @property
    def has_room(self) -> bool:
        """Say whether an item may be sent now."""
        return self.items > 0

    def room(self) -> LoopFuture[bool]:
        """Return a future: True when an item may be sent, False when the stream has ended."""
        future: LoopFuture[bool] = LoopFuture()
        if self.done or self.has_room:
            future.set(not self.done)
        else:
            if self._waiting is not None:
                future = self._waiting
            self._waiting = future
        return future

    def item(self, value: Any) -> None:
        """Send the next item. A stream that has ended ignores it."""
        if self.done:
            return
        if self._items <= len(self._held):
            self._finish(None, Busy("the producer ran ahead of its reader"))
            return
        self._held.append(value)
        self._send_held()

    def set(self, value: Any = None) -> None:
        """End the stream, behind its items."""
        self._stop(value, None)

    def fail(self, error: BaseException) -> None:
        """End the stream with an error, behind its items."""
        self._stop(None, error)

    def set_exception(self, exc_info: Any = None) -> None:
        """End the stream with an error, as Pykka does."""
        error = (exc_info or sys.exc_info())[1]
        self.fail(error if error is not None else RuntimeError("no exception"))

    # -- the reader

    def grant(self, items: int, size: int) -> None:
        """Let the producer send more."""
        had_room = self.has_room
        self._items += items
        self._bytes += size
        self._send_held()
        if not had_room and self.has_room:
            self._wake(True)
            if self._cell is not None:
                self._engine.put(self._cell, StreamCredit(self), self._cell.address)

    def cancel(self) -> None:
        """Tell the producer that nobody reads."""
        cell = self._cell
        self._release()
        if cell is not None:
            self._engine.put(cell, StreamClosed(self), cell.address)

    def lose(self, error: BaseException) -> None:
        """End the stream at once: its producer is gone."""
        self._finish(None, error)

    def _send_held(self) -> None:
        while self._held and self._items > 0 and self._bytes > 0:
            try:
                size = self.sink.item(self._sent + 1, self._held[0])
            except (TypeError, TooLarge) as error:
                self._finish(None, error)
                return
            self._held.popleft()
            self._sent += 1
            self._items -= 1
            self._bytes -= size
        if self._end is not None and not self._held:
            self._finish(*self._end)

    def _stop(self, value: Any, error: BaseException | None) -> None:
        if self.done:
            return
        if self._held:
            self.done = True
            self._end = (value, error)
            self._wake(False)
        else:
            self._finish(value, error)

    def _finish(self, value: Any, error: BaseException | None) -> None:
        if not self.done or self._end is not None:
            self._release()
            self.sink.end(self._sent, value, error)

    def _release(self) -> None:
        self.done = True
        self._end = None
        self._held.clear()
        if self._cell is not None:
            if self._cell.streams is not None:
                self._cell.streams.pop(self, None)
            self._cell = None
        self._wake(False)

    def _wake(self, has_room: bool) -> None:
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.set(has_room)
