"""cluster/leader: the node that leads recovery, as the cluster has last said it."""

from __future__ import annotations

import msgspec

__all__ = ["Leader"]


class Leader(msgspec.Struct, frozen=True, array_like=True, tag="leader"):
    """Put by the new leader itself, so that a change is one event. Nothing rests on it."""

    node: str
    since_ms: int
