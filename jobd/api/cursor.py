"""Opaque cursors of lists: where the last page ended, bound to the list's filters."""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec

from actors.errors import InvalidInput
from jobd.api.query import ListQuery

__all__ = ["make_cursor", "read_cursor", "read_number"]


def make_cursor(last: str, query: ListQuery) -> str:
    """Return the cursor that goes on after `last` in a list with these filters."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode((last, _filters(query)))).decode()


def read_cursor(query: ListQuery) -> str:
    """Return where the last page ended, "" for the first page. Raises InvalidInput."""
    if not query.cursor:
        return ""
    try:
        packed = base64.urlsafe_b64decode(query.cursor)
        last, filters = msgspec.msgpack.decode(packed, type=tuple[str, bytes])
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise InvalidInput("the cursor is not one of ours", remedy="Start without it.") from None
    if filters != _filters(query):
        raise InvalidInput(
            "the cursor belongs to a list with other filters", remedy="Start without it."
        )
    return last


def read_number(query: ListQuery) -> int:
    """Return where the last page of a list by number ended, 0 for the first page.

    Raises InvalidInput.
    """
    last = read_cursor(query) or "0"
    if not last.isascii() or not last.isdecimal() or len(last) > 18:
        raise InvalidInput("the cursor is not one of this list", remedy="Start without it.")
    return int(last)


def _filters(query: ListQuery) -> bytes:
    same = msgspec.structs.replace(
        query, cursor=None, limit=1, min_revision=None, consistency="local"
    )
    return hashlib.blake2b(msgspec.json.encode(same), digest_size=8).digest()
