"""A replica's clock: timestamps that it issues to commands (attached) or skips (detached).

Rules:
C1  A timestamp is issued once, ever. What is at most `clock` is attached to exactly one command
    or detached, and never changes (I2), also across restarts (I13).
C2  The clock stays at or below a reservation that is durable before anything above it is stated,
    so a skip costs no fsync; a restart begins at the reservation.
C3  Only what is durable is stated (I3): the stated clock ends below the first issued timestamp
    whose record isn't.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from actors.core.consensus.messages import CommandId

__all__ = ["PromiseClock"]

_AHEAD: Final = 1_024


class PromiseClock:
    """`reserved` is the durable reservation, `attached` what was issued to commands of the log."""

    def __init__(self, reserved: int = 0, attached: dict[int, CommandId] | None = None) -> None:
        self.clock = reserved
        self.attached: dict[int, CommandId] = attached or {}
        self.reserving = reserved  # asked for; durable once synced
        self._reserved = reserved
        self._reservations: deque[tuple[int, int]] = deque()  # (record, up to)
        self._unsynced: deque[tuple[int, int]] = deque()  # (record, timestamp issued)

    def issue(self, id_: CommandId, at_least: int) -> int:
        """Attach the next timestamp that is at least this to a command (the paper's proposal)."""
        ts = max(at_least, self.clock + 1)
        self.attached[ts] = id_
        self.clock = ts
        return ts

    def bump(self, ts: int) -> None:
        """Skip up to a timestamp."""
        if ts > self.clock:
            self.clock = ts

    # -- durability

    @property
    def wants_reservation(self) -> int | None:
        """Up to where a reservation is to be recorded now, None while there is enough."""
        if self.clock + _AHEAD // 2 <= self.reserving:
            return None
        return self.clock + _AHEAD

    def reserve(self, up_to: int, record: int) -> None:
        """Note a reservation on its way."""
        self.reserving = up_to
        self._reservations.append((record, up_to))

    def recorded(self, ts: int, record: int) -> None:
        """Note which record makes an issued timestamp durable."""
        self._unsynced.append((record, ts))

    def synced(self, record: int) -> None:
        """Take that the log is durable up to a record."""
        while self._reservations and self._reservations[0][0] <= record:
            self._reserved = self._reservations.popleft()[1]
        while self._unsynced and self._unsynced[0][0] <= record:
            self._unsynced.popleft()

    @property
    def is_beyond(self) -> bool:
        """Whether the clock is above what is durably reserved: it can't be stated."""
        return self.clock > self._reserved

    @property
    def stated(self) -> int:
        """The clock as far as others may be told (C3)."""
        stated = self.clock
        if stated > self._reserved:
            stated = self._reserved
        if self._unsynced and stated >= self._unsynced[0][1]:
            stated = self._unsynced[0][1] - 1
        return stated
