"""gzip and deflate of answers, for whoever asks.

What is compressed together with a secret tells of it by its length (BREACH), if the asker may also
choose part of the answer and somebody else's browser sends the credential. Credentials here are
headers that no browser adds by itself; what is confidential goes as it is nevertheless.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import zlib
from typing import Final, Literal

__all__ = ["COMPRESSED_FROM_BYTES", "Coding", "choose_coding", "compress"]

Coding = Literal["gzip", "deflate"]

COMPRESSED_FROM_BYTES: Final = 1024
ON_LOOP_BYTES: Final = 64 * 1024  # about a millisecond
_LEVEL: Final = 1  # JSON shrinks to a tenth already
_ELEMENT: Final = re.compile(r"\s*([\w*!#$%&'+.^`|~-]+)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?")


def choose_coding(accept: str) -> Coding | None:
    """Return the coding that an Accept-Encoding prefers of ours, None for the bytes as they are."""
    weights: dict[str, float] = {}
    for text in accept.split(","):
        element = _ELEMENT.fullmatch(text)
        if element is not None:
            weights[element[1].lower()] = float(element[2] or 1)
    other = weights.get("*", 0.0)
    gzipped, deflated = weights.get("gzip", other), weights.get("deflate", other)
    if max(gzipped, deflated) <= 0 or weights.get("identity", 0) > max(gzipped, deflated):
        return None
    return "gzip" if gzipped >= deflated else "deflate"


async def compress(body: bytes, coding: Coding) -> bytes:
    """Return a body in a coding; a large one is done off the loop."""
    if len(body) <= ON_LOOP_BYTES:
        return _compress(body, coding)
    return await asyncio.to_thread(_compress, body, coding)


def _compress(body: bytes, coding: Coding) -> bytes:
    if coding == "gzip":
        return gzip.compress(body, _LEVEL, mtime=0)
    return zlib.compress(body, _LEVEL)
