"""Moments as text, and the ids of what fires make."""

from __future__ import annotations

import datetime
import hashlib
from typing import Final

from actors.core import buckets
from actors.core.view import View
from actors.model.ids import make_id

__all__ = ["fire_id", "fire_name", "rfc3339"]

_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_RECENT_MS: Final = 600_000


def rfc3339(time_ms: int) -> str:
    """Return a moment in UTC, `2026-11-29T02:00:00Z`, with milliseconds where it has some."""
    moment = _EPOCH + datetime.timedelta(milliseconds=time_ms)
    exact = "milliseconds" if time_ms % 1000 else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=exact) + "Z"


def fire_name(schedule: str, nominal_ms: int) -> str:
    """Return a fire's name, the id of a cause: `<schedule>@<nominal time>`."""
    return f"{schedule}@{rfc3339(nominal_ms)}"


def fire_id(view: View, of: str, nominal_ms: int, now_ms: int) -> str:
    """Return the id of what a fire makes; `of` names the schedule's generation, or a backfill.

    All nodes come to the same one, as long as it is of the nominal time; of a time whose ids are
    accepted no more, or of long ago, it can't be: then of the first moment that is.
    """
    wanted_ms = nominal_ms if now_ms - nominal_ms < _RECENT_MS else now_ms
    digest = hashlib.blake2b(f"{of}\0{nominal_ms}".encode(), digest_size=10, person=b"jobd-fire")
    return make_id(buckets.open_from_ms(view, wanted_ms), int.from_bytes(digest.digest(), "big"))
