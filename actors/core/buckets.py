"""Buckets of job ids: an id is accepted once, ever, though its record is evicted (R11).

Rules of this file:
B1  The bucket of an id is the time in the id, not the time of the accept: 10 s ("fine") and 1 h.
B2  An accept checks that neither of its buckets is closed; an eviction happens only in a closed
    bucket. So a late copy of an accept conflicts, whatever became of the record.
B3  A running bucket is never closed.
B4  The fine keys of an hour go in the transaction that puts the hour's key, so that at no revision
    an id of a closed bucket finds it open.
B5  Hour keys stay `CLOSED_HOURS_KEEP_S`; a door refuses ids older than that before it submits.
"""

from __future__ import annotations

from typing import Final

from actors import limits
from actors.core.store.txn import Txn, absent, at
from actors.core.view import View
from actors.model import keys
from actors.model.codec import encode
from actors.model.ids import id_time_ms

__all__ = [
    "FINE_MS",
    "HOUR_MS",
    "buckets_of",
    "close",
    "compact",
    "due_at",
    "is_closed",
    "is_over",
    "open_from_ms",
]

FINE_MS: Final = 10_000
HOUR_MS: Final = 3_600_000


def buckets_of(job_id: str) -> tuple[str, str]:
    """Return the keys of an id's two buckets, fine then hour."""
    minted = id_time_ms(job_id)
    return _fine(minted // FINE_MS), _hour(minted // HOUR_MS)


def is_closed(view: View, job_id: str) -> bool:
    """Say whether an id's bucket is closed: a door mints no such id, an eviction needs it."""
    return any(view.get(bucket) is not None for bucket in buckets_of(job_id))


def open_from_ms(view: View, time_ms: int) -> int:
    """Return the first moment from this one on that an id may be minted at.

    That is now, but for a clock that was set back into times which are closed already.
    """
    while True:
        if view.get(_hour(time_ms // HOUR_MS)) is not None:
            time_ms = (time_ms // HOUR_MS + 1) * HOUR_MS
        elif view.get(_fine(time_ms // FINE_MS)) is not None:
            time_ms = (time_ms // FINE_MS + 1) * FINE_MS
        else:
            return time_ms


def is_over(job_id: str, now_ms: int) -> bool:
    """Say whether an id's fine bucket is past and may be closed (B3)."""
    return now_ms // FINE_MS > id_time_ms(job_id) // FINE_MS


def close(job_ids: list[str], now_ms: int) -> Txn:
    """Close the fine buckets of these ids; each is past and open in the caller's view."""
    assert all(is_over(job_id, now_ms) for job_id in job_ids), "B3: a running bucket stays open"
    fine = sorted({buckets_of(job_id)[0] for job_id in job_ids})
    return Txn(
        checks=tuple(absent(key) for key in fine),
        ops=tuple((key, encode(True)) for key in fine),
        now_ms=now_ms,
    )


def due_at(key: str) -> int:
    """When a `closed/` key is due: a fine one to go into its hour, an hour's key to be dropped."""
    kind, number = _parse(key)
    if kind == "s":
        hour_end = (number * FINE_MS // HOUR_MS + 1) * HOUR_MS
        return hour_end + limits.TERMINAL_KEEP_S * 1000
    return (number + 1) * HOUR_MS + limits.CLOSED_HOURS_KEEP_S * 1000


def compact(view: View, key: str, now_ms: int) -> Txn | None:
    """Put a fine key's hour key and delete the hour's fine keys (B4), or drop an old hour's key."""
    entry = view.get(key)
    if entry is None or now_ms < due_at(key):
        return None
    kind, number = _parse(key)
    if kind == "h":
        return Txn(checks=(at(key, entry.revision),), ops=((key, None),), now_ms=now_ms)
    hour = number * FINE_MS // HOUR_MS
    first = hour * HOUR_MS // FINE_MS
    fine = [_fine(n) for n in range(first, first + HOUR_MS // FINE_MS)]
    hour_key, gone = _hour(hour), tuple((k, None) for k in fine if view.get(k) is not None)
    if view.get(hour_key) is not None:  # a fine key that was put beside its hour's key
        return Txn(checks=(at(key, entry.revision),), ops=gone, now_ms=now_ms)
    return Txn(checks=(absent(hour_key),), ops=((hour_key, encode(True)), *gone), now_ms=now_ms)


def _fine(number: int) -> str:
    return keys.closed(f"s{number:012d}")


def _hour(number: int) -> str:
    return keys.closed(f"h{number:08d}")


def _parse(key: str) -> tuple[str, int]:
    bucket = keys.last(key)
    return bucket[0], int(bucket[1:])
