"""cluster/level: the value schema that every node of the cluster reads."""

from __future__ import annotations

import msgspec

__all__ = ["Level"]


class Level(msgspec.Struct, frozen=True, array_like=True, tag="level"):
    """Without the record it is 1. It only rises, when the last node that read less is upgraded."""

    level: int
