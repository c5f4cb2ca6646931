"""Times on the wire: RFC 3339 in UTC with milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta

__all__ = ["Stamp", "stamp", "stamp_or_none"]

Stamp = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


def stamp(ms: int) -> str:
    """Return Unix milliseconds as `2026-12-01T09:00:00.000Z`."""
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def stamp_or_none(ms: int) -> str | None:
    """Return the stamp of a moment, None for 0: it has not come."""
    return stamp(ms) if ms else None
