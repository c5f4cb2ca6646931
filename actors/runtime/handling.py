"""What handling messages costs, by actor class: how many, and the seconds in their turns."""

from __future__ import annotations

__all__ = ["Handling"]


class Handling:
    """Counts of one host, kept on its thread."""

    def __init__(self) -> None:
        self._messages: dict[type, int] = {}
        self._seconds: dict[type, float] = {}

    def add(self, actor: object, messages: int, seconds: float) -> None:
        """Add what a turn of an actor took; of a thread actor, also the time in its thread."""
        kind = actor.__class__
        self._messages[kind] = self._messages.get(kind, 0) + messages
        self._seconds[kind] = self._seconds.get(kind, 0.0) + seconds

    def by_class(self) -> dict[str, tuple[int, float]]:
        """Return (messages, seconds) by the name of the class."""
        return {
            kind.__name__: (messages, self._seconds[kind])
            for kind, messages in list(self._messages.items())
            if kind is not type(None)
        }
