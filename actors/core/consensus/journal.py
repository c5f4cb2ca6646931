"""The way to the log: records that are to be made durable, and what may only happen behind them.

Rules:
J1  One group of records is being made durable at a time; what is appended meanwhile is the next
    group (group commit).
J2  What is held is released in order, once everything appended before it is durable.
J3  A lazy record asks for no fsync of its own: it goes along with the next group.
J4  A group that was refused with nothing written (the disk is full) is handed over again, unless
    its owner gives it back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from actors.core.ports import LogEntry

__all__ = ["Journal"]

Action = Callable[[], None]
_LAZY_BYTES: Final = 256 * 1024
_RETRY_MS: Final = 1_000


class Journal:
    """Indexes are the log's; `last_index` is its last durable record."""

    def __init__(self, last_index: int) -> None:
        self.durable = last_index
        self.last = last_index  # of what was appended here
        self._waiting: list[LogEntry] = []
        self._flight: tuple[LogEntry, ...] = ()
        self._held: deque[tuple[int, Action]] = deque()
        self._lazy_bytes = 0
        self._is_due = False
        self._refused_ms: int | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way, nor waits for more than company."""
        return not (self._flight or self._is_due)

    @property
    def is_free(self) -> bool:
        """Whether what is appended now is handed over at the end of this step."""
        return not self._flight

    @property
    def is_refused(self) -> bool:
        """Whether a group waits to be handed over again."""
        return self._refused_ms is not None

    def append(self, kind: int, payload: bytes, *, lazy: bool = False) -> int:
        """Add a record and return its index."""
        self.last += 1
        self._waiting.append(LogEntry(self.last, kind, payload))
        if lazy:
            self._lazy_bytes += len(payload)
        else:
            self._is_due = True
        return self.last

    def hurry(self) -> None:
        """Have what waits handed over with this step, lazy or not."""
        self._is_due = bool(self._waiting)

    def behind(self, action: Action) -> None:
        """Do this once all that was appended so far is durable: now, if it is."""
        if self.durable >= self.last and not self._held:
            action()
        else:
            self._is_due = True
            self._held.append((self.last, action))

    def take(self, *, all_of_it: bool = False) -> tuple[LogEntry, ...]:
        """Return the next group for the log, nothing while one is on its way."""
        wanted = self._is_due or all_of_it or self._lazy_bytes > _LAZY_BYTES
        if self._flight or not self._waiting or not wanted:
            return ()
        self._flight, self._waiting = tuple(self._waiting), []
        self._lazy_bytes, self._is_due = 0, False
        return self._flight

    def synced(self, index: int) -> None:
        """Take that a group is durable, and do what was held for it."""
        assert self._flight, "synced without a group on its way"
        assert index == self._flight[-1].index, "J1: one group at a time, dense"
        self._flight = ()
        self.durable = index
        while self._held and self._held[0][0] <= index:
            self._held.popleft()[1]()

    def refused(self, now_ms: int) -> None:
        """Take that the group was not written: it is handed over again after a while (J4)."""
        self._refused_ms = now_ms

    def again(self, now_ms: int) -> tuple[LogEntry, ...]:
        """Return the refused group when it is time to try it again."""
        if self._refused_ms is None or now_ms - self._refused_ms < _RETRY_MS:
            return ()
        self._refused_ms = None
        return self._flight

    def give_back(self, kind: int) -> None:
        """Forget the records of this kind in the refused group, and what is held for them.

        They are its last ones, with nothing behind them; their indexes are used anew.
        """
        assert not self._waiting, "nothing was appended behind the group"
        kept = [entry for entry in self._flight if entry.kind != kind]
        self.last = self._flight[0].index + len(kept) - 1
        self._flight, self._waiting = (), kept
        self._is_due = bool(kept)
        self._refused_ms = None
        self._held.clear()

    def drop_held(self) -> None:
        """Forget what is held: its epoch has ended."""
        self._held.clear()
