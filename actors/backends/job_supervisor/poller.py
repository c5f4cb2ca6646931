"""Which file descriptor wakes whom."""

from __future__ import annotations

import select
from collections.abc import Callable

__all__ = ["Poller"]


class Poller:
    """Level-triggered epoll with a handler per file descriptor."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}

    def watch(self, fd: int, handler: Callable[[], None]) -> None:
        """Call the handler whenever there is something to read."""
        self._handlers[fd] = handler
        self._epoll.register(fd, select.EPOLLIN)

    def watch_writes(self, fd: int, *, wanted: bool) -> None:
        """Call the handler also when there is room to write, or no more."""
        self._epoll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if wanted else 0))

    def unwatch(self, fd: int) -> None:
        """Forget it; must come before the close."""
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def poll(self, wait_s: float) -> None:
        """Wait, at most so long (-1: for ever), and call the handlers of what is ready."""
        for fd, _ in self._epoll.poll(wait_s):
            handler = self._handlers.get(fd)  # an earlier handler may have closed it
            if handler is not None:
                handler()
