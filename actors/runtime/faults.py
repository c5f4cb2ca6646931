"""Faults: how a simulated network and machine misbehave."""

from __future__ import annotations

import msgspec

__all__ = ["Faults"]


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """Probabilities of each message between nodes, and bounds of virtual delays in seconds.

    The default is a network that only takes its time.
    """

    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0  # may overtake earlier ones of its sender and receiver
    min_delay_s: float = 0.0002
    max_delay_s: float = 0.005
    local_s: float = 0.00005  # within a node
    turn_s: float = 0.00005  # from a message's arrival to its turn
    work_s: float = 0.002  # a thread actor's work: before it is done, and again until others know
    detect_s: float = 1.0  # until a crash is noticed elsewhere
