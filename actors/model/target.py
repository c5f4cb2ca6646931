"""What a schedule or a trigger starts."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Target"]


class Target(msgspec.Struct, frozen=True, array_like=True):
    """A job of the spec under `template/<name>`, or a run of the pipeline of this name."""

    kind: Literal["job", "pipeline"]
    name: str
