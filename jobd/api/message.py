"""The API as messages between actors: what HTTP says in bytes, for the doors that speak in frames.

An `ApiRequest` names an operation of the table of routes. Its answer is an `ApiReply`, a problem
too: then `status` is 400 or more and `body` is its ProblemDetails. An operation that answers with
a file or with a stream must be asked for by `stream`; so may any other, whose reply then is the
stream's value and no item comes:

    a file      items: its bytes, piece by piece        value: ApiReply(200, headers, b"")
    a stream    items: lists of ApiItem, never empty    value: ApiReply(200, headers, b"")

The answers are plain values, so that their large bytes travel in frames of their own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

__all__ = ["ApiItem", "ApiReply", "ApiRequest"]


class ApiRequest(msgspec.Struct, frozen=True):
    """One request: `params` are the segments of the path, `headers` go by HTTP's names."""

    operation: str
    params: dict[str, str] = {}
    query: tuple[tuple[str, str], ...] = ()
    headers: dict[str, str] = {}
    body: bytes = b""


class ApiReply(NamedTuple):
    """One answer; the body is JSON unless `Content-Type` says otherwise."""

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    def of(cls, value: Any) -> ApiReply:
        """Return the reply that came as a plain value. Raises ValueError for what is none."""
        return msgspec.convert(value, cls)


class ApiItem(NamedTuple):
    """One item of a stream; whoever asks again names the last `id` in `Last-Event-ID`."""

    event: str
    id: str
    data: bytes  # JSON
