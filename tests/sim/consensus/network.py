"""The network: packets as bytes, lost, doubled, late, overtaken, held back and come again.

A link is a pair (from, to). A cut link loses what is sent; a clogged one holds it, and lets it all
out in any order when it is freed (the swizzle clog of FoundationDB's simulation).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from tests.sim.consensus.profile import Profile

__all__ = ["Network"]

_KEPT = 24

Link = tuple[str, str]
At = Callable[[int, Callable[[str, str, bytes], None], tuple[str, str, bytes]], None]


class Network:
    """`at(delay_ms, deliver, (sender, to, data))` schedules; a healed network loses nothing."""

    def __init__(
        self,
        rng: random.Random,
        profile: Profile,
        at: At,
        deliver: Callable[[str, str, bytes], None],
        coverage: Counter[str],
    ) -> None:
        self._rng = rng
        self._profile = profile
        self._at = at
        self._deliver = deliver
        self._coverage = coverage
        self._healed = False
        self._cut: dict[Link, int] = {}  # how many faults cut it
        self._clogged: dict[Link, list[bytes]] = {}
        self._kept: list[tuple[str, str, bytes]] = []
        self.packets = 0

    def send(self, sender: str, to: str, data: bytes) -> None:
        """Take a packet; it comes once, later, not at all, or more than once."""
        self.packets += 1
        profile, rng = self._profile, self._rng
        if self._healed:
            self._at(1 + rng.randrange(profile.delay_ms), self._deliver, (sender, to, data))
            return
        link = (sender, to)
        if self._cut.get(link):
            return
        if link in self._clogged:
            self._clogged[link].append(data)
            return
        if profile.drop and rng.random() < profile.drop:
            return
        self._come(sender, to, data)
        if profile.duplicate and rng.random() < profile.duplicate:
            self._come(sender, to, data)
        if profile.replay and rng.random() < profile.replay:
            self._keep(sender, to, data)

    def _come(self, sender: str, to: str, data: bytes) -> None:
        profile, rng = self._profile, self._rng
        if profile.slow_share and rng.random() < profile.slow_share:
            delay = rng.randint(1, profile.slow_ms)
        else:
            delay = rng.randint(1, profile.delay_ms)
        self._at(delay, self._deliver, (sender, to, data))

    def _keep(self, sender: str, to: str, data: bytes) -> None:
        """Keep a packet to come again much later, when all about it is done and collected."""
        if len(self._kept) < _KEPT:
            self._kept.append((sender, to, data))
        else:
            self._kept[self._rng.randrange(_KEPT)] = (sender, to, data)

    def replay(self) -> None:
        """Let kept packets come again."""
        for packet in self._kept:
            if self._rng.random() < 0.3:
                self._coverage["packets come again late"] += 1
                self._at(self._rng.randint(1, 50), self._deliver, packet)

    def cut(self, links: list[Link]) -> Callable[[], None]:
        """Cut links; returns what mends them."""
        for link in links:
            self._cut[link] = self._cut.get(link, 0) + 1

        def mend() -> None:
            for link in links:
                self._cut[link] -= 1

        return mend

    def is_cut(self, sender: str, to: str) -> bool:
        """Whether a link is cut now."""
        return bool(self._cut.get((sender, to)))

    def clog(self, links: list[Link]) -> None:
        """Hold back what goes over these links."""
        for link in links:
            self._clogged.setdefault(link, [])

    def unclog(self, link: Link) -> None:
        """Let out what was held, in any order."""
        held = self._clogged.pop(link, [])
        self._rng.shuffle(held)
        for data in held:
            self._come(*link, data)

    def heal(self) -> None:
        """End all faults; what was kept comes again once more."""
        self.replay()
        for link in list(self._clogged):
            self.unclog(link)
        self._cut.clear()
        self._kept.clear()
        self._healed = True
