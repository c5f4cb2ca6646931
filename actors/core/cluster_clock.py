"""The time of a cluster: the median of its voters' clocks.

Rules of this file:
K1  A node alone has its own clock, as it is. A node of a cluster has the median of what the voters
    said last in their heartbeats, carried on by its own monotonic clock: so its own wall clock, be
    it in 2099 or 1970, is one of several.
K2  Nothing is corrected but the time since it was said: of a voter's last statements the one that
    was least delayed counts. Of an even number the lower of the two in the middle is taken, unless
    that is before what the cluster has stamped already.
K3  The clock is set once all voters were heard, or a majority agrees, or a majority is there and
    the others were waited for.
    Until then the node opens no session, so nobody gets to see a time of it.
K4  Once set it never goes back: ahead of the median, it runs at half speed until it is not.
    Forward it goes at once, also by hours (a resume from sleep).
K5  A node whose own clock is off by more than SKEW_MS keeps no time: it proposes nothing that
    depends on it, although its actors see the cluster's.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

__all__ = ["SKEW_MS", "ClusterClock", "OwnClock"]

SKEW_MS: Final = 500
_STATEMENTS: Final = 5  # of each node; one that was held up tells nothing


class OwnClock(Protocol):
    """The machine's clock."""

    def now_ms(self) -> int:
        """Return the wall clock, in Unix milliseconds. It may step."""

    def monotonic_s(self) -> float:
        """Return seconds that never go back; only differences mean anything."""


class ClusterClock:
    """What the actors and doors of a node see as its clock. `wait_ms` is the failure timeout."""

    def __init__(self, own: OwnClock, node: str, *, wait_ms: int) -> None:
        self._own = own
        self._node = node
        self._wait_ms = wait_ms
        self._voters: tuple[str, ...] = (node,)
        self._since_ms: int | None = None  # when a majority of the voters had been heard
        self._stamped_ms = 0
        # Wall minus monotonic time: a constant, as long as nobody sets a clock.
        self._said: dict[str, deque[int]] = {}
        self._ahead_ms: int | None = None  # the median of these, None until it is set
        self._last = (0, 0)  # the monotonic time of the last look, and what was shown
        self._slow_from: tuple[int, int] | None = None  # likewise, of the last look in step

    # -- the clock

    def now_ms(self) -> int:
        """Return the cluster's time, in Unix milliseconds."""
        if self._ahead_ms is None:
            return self._own.now_ms()
        monotonic_ms = self._monotonic_ms()
        time_ms = monotonic_ms + self._ahead_ms
        if time_ms >= self._last[1]:
            self._slow_from = None
        else:
            self._slow_from = self._slow_from or self._last
            since_ms, shown_ms = self._slow_from
            time_ms = max(time_ms, shown_ms + (monotonic_ms - since_ms) // 2)
        self._last = monotonic_ms, time_ms
        return time_ms

    def monotonic_s(self) -> float:
        """Return the seconds of the machine's monotonic clock."""
        return self._own.monotonic_s()

    def own_ms(self) -> int:
        """Return the machine's wall clock: what a heartbeat says."""
        return self._own.now_ms()

    # -- what it is set by

    def follow(self, voters: tuple[str, ...], stamped_ms: int) -> None:
        """Take who votes, and the latest time that the cluster has put into the state."""
        if voters != self._voters:
            self._voters = voters
            self._since_ms = None
        self._stamped_ms = stamped_ms
        self.tick()

    def hear(self, node: str, sent_ms: int) -> None:
        """Take what another node's clock said when it sent what has just come."""
        said = self._said.setdefault(node, deque(maxlen=_STATEMENTS))
        said.append(sent_ms - self._monotonic_ms())
        self.tick()

    def forget(self, node: str) -> None:
        """Forget a node that has gone for good."""
        self._said.pop(node, None)

    def tick(self) -> None:
        """Look at the machine's clock again: it may have been set."""
        alone = self._voters == (self._node,)
        if alone and self._ahead_ms is None:
            return
        ahead = self._by_voter()
        if 2 * len(ahead) <= len(self._voters):
            return
        if self._since_ms is None:
            self._since_ms = self._monotonic_ms()
        waited_ms = self._monotonic_ms() - self._since_ms
        if self._ahead_ms is not None or self._may_be_set(ahead, waited_ms):
            self._ahead_ms = self._median(ahead)

    def _by_voter(self) -> list[int]:
        """Return, sorted, how far each voter's wall clock is ahead of this monotonic one."""
        others = (self._said.get(v) for v in self._voters if v != self._node)
        ahead = [max(said) for said in others if said]
        if self._node in self._voters:
            ahead.append(self._own.now_ms() - self._monotonic_ms())
        return sorted(ahead)

    def _may_be_set(self, ahead: list[int], waited_ms: int) -> bool:
        """Say whether this is enough to begin with (K3)."""
        if len(ahead) == len(self._voters):
            return True
        most = len(self._voters) // 2
        agree = any(b - a <= SKEW_MS for a, b in zip(ahead, ahead[most:], strict=False))
        return agree or waited_ms >= self._wait_ms

    def _median(self, ahead: list[int]) -> int:
        lower, upper = ahead[(len(ahead) - 1) // 2], ahead[len(ahead) // 2]
        too_old = lower + self._monotonic_ms() < self._stamped_ms - SKEW_MS
        return upper if too_old else lower

    # -- what is known of it

    @property
    def is_set(self) -> bool:
        """Whether it is the cluster's time; a node alone needs no other."""
        return self._ahead_ms is not None or self._voters == (self._node,)

    @property
    def skew_ms(self) -> int:
        """How far the machine's clock is ahead of the cluster's, negative when it is behind."""
        if self._ahead_ms is None:
            return 0
        return self._own.now_ms() - self._monotonic_ms() - self._ahead_ms

    @property
    def keeps_time(self) -> bool:
        """Whether this node may propose what depends on time (K5)."""
        return self.is_set and abs(self.skew_ms) <= SKEW_MS

    def _monotonic_ms(self) -> int:
        return int(self._own.monotonic_s() * 1000)
