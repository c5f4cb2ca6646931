"""A receiver of a simulated machine's hooks: it outlives the node, and answers late or badly."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from actors.core.fetch_port import Outgoing, Received
from actors.runtime import SimHost

__all__ = ["SimReceiver"]

_ON_ITS_WAY_S = (0.001, 0.02)


class SimReceiver:
    """`came` counts what arrived by its webhook id; the first `fails` of each are refused."""

    def __init__(self, host: SimHost, rng: random.Random) -> None:
        self._host = host
        self._rng = rng
        self.came: Counter[str] = Counter()
        self.bodies: dict[str, set[bytes]] = {}
        self.fails = 0

    def send(self, outgoing: Outgoing, answer: Callable[[Received], None]) -> None:
        """Have it arrive, whether or not the node lives that long, then answer."""
        self._host.call_later(self._rng.uniform(*_ON_ITS_WAY_S), self._arrive, outgoing, answer)

    def _arrive(self, outgoing: Outgoing, answer: Callable[[Received], None]) -> None:
        id_ = outgoing.headers["webhook-id"]
        self.came[id_] += 1
        self.bodies.setdefault(id_, set()).add(outgoing.body)
        good = self.came[id_] > self.fails
        received = Received(200, "") if good else Received(503, "busy")
        self._host.call_later(self._rng.uniform(*_ON_ITS_WAY_S), answer, received)
