"""Routes: how letters leave a process."""

from __future__ import annotations

from typing import Protocol

from actors.runtime.letter import Letter

__all__ = ["Route"]


class Route(Protocol):
    """The way to the actors of another process."""

    def carry(self, address: str, letter: Letter) -> None:
        """Send a letter there, or refuse it."""

    def watch(self, address: str, watcher: str) -> None:
        """Have `Terminated` come for an address there, also when the process is lost."""
