"""Durations, sizes and moments, as people write them.

Each reader returns None when the text has another form; the caller says what is wanted.
"""

from __future__ import annotations

import datetime
import re
from typing import Final

__all__ = ["DURATION_PATTERN", "MOMENT_PATTERN", "SIZE_PATTERN", "duration_ms", "moment_ms", "size"]

_NUMBER: Final = r"[0-9]{1,15}(\.[0-9]{1,9})?"
DURATION_PATTERN: Final = (
    rf"^(?=.)({_NUMBER}d)?({_NUMBER}h)?({_NUMBER}m)?({_NUMBER}s)?({_NUMBER}ms)?$"
)
SIZE_PATTERN: Final = rf"^{_NUMBER}(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$"
MOMENT_PATTERN: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)

_DURATION: Final = re.compile(DURATION_PATTERN)
_DURATION_PART: Final = re.compile(r"([0-9.]+)(ms|[dhms])")
_UNIT_MS: Final = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_SIZE: Final = re.compile(SIZE_PATTERN)
_SIZE_PART: Final = re.compile(r"([0-9.]+)([A-Za-z]+)")
_UNIT_BYTES: Final = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_MOMENT: Final = re.compile(MOMENT_PATTERN)


def duration_ms(text: str) -> int | None:
    """Return the milliseconds of `10s`, `1h30m`, `1.5h` or `250ms`; units from large to small."""
    if not _DURATION.fullmatch(text):
        return None
    parts = _DURATION_PART.findall(text)
    return sum(_scaled(number, _UNIT_MS[unit]) for number, unit in parts)


def size(text: str) -> int | None:
    """Return the bytes of `512MiB` (2^20) or `512MB` (10^6)."""
    if not _SIZE.fullmatch(text):
        return None
    number, unit = _SIZE_PART.findall(text)[0]
    return _scaled(number, _UNIT_BYTES[unit])


def moment_ms(text: str) -> int | None:
    """Return the Unix milliseconds of an RFC 3339 date-time; its zone is required."""
    if not _MOMENT.fullmatch(text):
        return None
    try:
        moment = datetime.datetime.fromisoformat(text.upper()).astimezone(datetime.UTC)
    except (ValueError, OverflowError):  # the 31st of February, the year 10000 in UTC
        return None
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return (moment - epoch) // datetime.timedelta(milliseconds=1)


def _scaled(number: str, unit: int) -> int:
    """Multiply without floats: `0.1` of a unit is exact as far as whole numbers go."""
    whole, _, fraction = number.partition(".")
    scale: int = 10 ** len(fraction)
    digits = int(whole + fraction)
    return digits * unit // scale
