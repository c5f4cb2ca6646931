"""A node's session: (node, incarnation), new at each boot, ended by loss or leave."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Session"]


class Session(msgspec.Struct, frozen=True, array_like=True):
    """session/<node>; the revision of this key is the session's number."""

    state: Literal["up", "lost", "left"]
    incarnation: int
    since_ms: int
    name: str = ""
