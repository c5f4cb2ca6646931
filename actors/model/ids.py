"""Identifiers: time-sortable ids and names.

An id is a ULID in lower case (https://github.com/ulid/spec): 48 bits of milliseconds, 80 random
bits, Crockford's base 32, 26 characters. Ids sort by the time they were minted at.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["ID_RE", "NAME_RE", "id_time_ms", "is_id", "make_id"]

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES: Final = {c: i for i, c in enumerate(_ALPHABET)}
_RANDOM_BITS: Final = 80

ID_RE: Final = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}")
NAME_RE: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


def make_id(time_ms: int, random80: int) -> str:
    """Return the id of a moment (Unix milliseconds) and 80 random bits."""
    value = (time_ms << _RANDOM_BITS) | random80
    return "".join([_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5)])


def id_time_ms(id_: str) -> int:
    """Return the Unix milliseconds that an id was minted at."""
    value = 0
    for c in id_[:10]:
        value = value << 5 | _VALUES[c]
    return value


def is_id(text: str) -> bool:
    """Say whether a text has the form of an id."""
    return ID_RE.fullmatch(text) is not None
