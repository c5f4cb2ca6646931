"""A heartbeat: what a node says of itself to every other, once an interval.

It is a hint, never a fact: nothing that it says goes into the store. Whoever acts on one puts the
revisions that it saw into the checks of its transaction.
"""

from __future__ import annotations

from typing import Final

import msgspec

from actors.core.placement import NodeCapacity

__all__ = ["CLOCK_SKEW", "ISOLATED", "UPGRADE_NEEDED", "Heartbeat"]

# Conditions: what keeps a node from all that it could do.
CLOCK_SKEW: Final = "clock_skew"  # its clock is off: it decides nothing that depends on time
ISOLATED: Final = "isolated"  # no majority of voters is in contact: it starts nothing new
UPGRADE_NEEDED: Final = "upgrade_needed"  # the cluster's level is above what it reads


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """`sent_ms` is the sender's own wall clock, uncorrected: others make the cluster's of it.

    `session` is the revision of its session, 0 while it has none. `heard` is how long ago it heard
    each other node, in milliseconds. `revision` and `executed` say how far it has applied,
    `recorded` below which revision all that ended is durably in its history; `level` is the highest
    value schema that it reads. `addresses` are by door: `http`, `cluster`.
    """

    node: str
    incarnation: int
    session: int
    sent_ms: int
    heard: dict[str, int]
    capacity: NodeCapacity
    revision: int = 0
    executed: int = 0
    recorded: int = 0
    level: int = 1
    conditions: tuple[str, ...] = ()
    addresses: dict[str, str] = {}
    version: str = ""
