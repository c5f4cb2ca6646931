"""A feed: what a generator in a thread yields, on its way to the stream's outlet on the loop.

The thread is at most ITEMS_AHEAD items ahead of the outlet, and the outlet of its reader's credit:
a reader that stops reading stops the generator, with bounded memory on the way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from threading import Semaphore
from typing import Any, Final

from actors.runtime.outlet import Outlet
from actors.runtime.remote.workers import Post

__all__ = ["ITEMS_AHEAD", "Feed"]

ITEMS_AHEAD: Final = 16


class Feed:
    """Between one thread and the loop. `run` is the thread's, the rest the loop's."""

    def __init__(self, outlet: Outlet, post: Post) -> None:
        self._outlet = outlet
        self._post = post
        self._items: deque[Any] = deque()
        self._room = Semaphore(ITEMS_AHEAD)

    def run(self, items: Generator[Any, Any, Any]) -> Any:
        """Pass on what a generator yields; return what it returns, None when the reader has gone.

        Raises what the generator raises. It comes back when the outlet has every item.
        """
        try:
            while True:
                try:
                    item = next(items)
                except StopIteration as end:
                    return end.value
                self._room.acquire()
                if self._outlet.done:
                    self._room.release()
                    return None
                self._items.append(item)
                self._post(self._pass_on)
        finally:
            items.close()
            for _ in range(ITEMS_AHEAD):  # what comes after the items must not overtake them
                self._room.acquire()

    def _pass_on(self) -> None:
        outlet = self._outlet
        while self._items and outlet.has_room:
            outlet.item(self._items.popleft())
            self._room.release()
        if outlet.done:
            self._items.clear()
            for _ in range(2 * ITEMS_AHEAD):
                self._room.release()
        elif self._items:
            outlet.room().add_done_callback(self._pass_on)
