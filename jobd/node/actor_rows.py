"""The live actors of a node, as rows with their rates."""

from __future__ import annotations

import time

from actors.runtime import LoopHost
from jobd.api.node_views import ActorView

__all__ = ["ActorRows"]

_LOOK_S = 1.0  # rates over less say nothing


class ActorRows:
    """Reads the tree; a rate is over the time since it was looked at before."""

    def __init__(self, host: LoopHost) -> None:
        self._host = host
        self._looked_s = time.monotonic()
        self._handled: dict[str, int] = {}
        self._rates: dict[str, float] = {}

    def read(self) -> list[ActorView]:
        """Return a row for each actor, in start order."""
        rows = self._host.inspect()
        self._take_rates({row.address: row.handled for row in rows})
        return [
            ActorView(
                address=row.address,
                parent=row.parent or None,
                class_=row.cls,
                state=row.state,
                mailbox=row.mailbox,
                handled=row.handled,
                rate=self._rates.get(row.address, 0.0),
                handler_s=round(row.seconds, 6),
                restarts=row.restarts,
                last_error=row.last_error or None,
            )
            for row in rows
        ]

    def _take_rates(self, handled: dict[str, int]) -> None:
        now_s = time.monotonic()
        past_s = now_s - self._looked_s
        if past_s < _LOOK_S:
            return
        before, self._handled, self._looked_s = self._handled, handled, now_s
        self._rates = {
            address: round((count - before.get(address, 0)) / past_s, 1)
            for address, count in handled.items()
        }
