"""An operation of the API as a value: what is asked, how its answer is read, when to ask again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, Literal, TypeAlias, TypeVar

import msgspec

from actors import addresses
from jobd.api.failure import error_of
from jobd.api.message import ApiReply, ApiRequest

__all__ = ["Again", "Operation", "Query", "as_it_is", "nothing", "operation", "reads_as"]

T = TypeVar("T")
Again: TypeAlias = Literal["safe", "once"]
Query: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One request to an actor of the node, by default to the API.

    `again` says what a second sending is: `safe` is as good as one, since it only looks, or has a
    key by which the node knows it; `once` may be another change, so it is sent again only when the
    first is known not to have been done. `takes_s` is how long the node may take by intent, on top
    of the client's time. `value_of` is given the answer, and raises the error that it is.
    """

    request: Any
    value_of: Callable[[Any], T]
    again: Again = "safe"
    takes_s: float = 0.0
    key: str = ""  # the idempotency key that it carries
    to: str = addresses.API


def operation(
    name: str,
    read: Callable[[ApiReply], T],
    *,
    params: Mapping[str, str] | None = None,
    query: Mapping[str, Any] | None = None,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    again: Again = "safe",
    takes_s: float = 0.0,
    key: str = "",
) -> Operation[T]:
    """Make an operation of the API; parameters of the query that are None are left out.

    Raises TypeError for a body that is no bytes.
    """
    if not isinstance(body, bytes):
        raise TypeError(f"a value is bytes, not {type(body).__name__}: encode it first")
    sent = dict(headers or {})
    if key:
        sent["Idempotency-Key"] = key
    request = ApiRequest(name, dict(params or {}), _pairs(query or {}), sent, body)
    return Operation(request, lambda answer: read(_accepted(answer)), again, takes_s, key)


@cache
def reads_as(type_: type[T]) -> Callable[[ApiReply], T]:
    """Return what reads a JSON body of this type; what a newer node adds is passed over."""
    decoder = msgspec.json.Decoder(type_)
    return lambda reply: decoder.decode(reply.body)


def nothing(reply: ApiReply) -> None:
    """Read an answer without a body."""


def as_it_is(reply: ApiReply) -> ApiReply:
    """Leave an answer as it is."""
    return reply


def _accepted(answer: Any) -> ApiReply:
    reply = ApiReply.of(answer)
    if reply.status >= 400:
        raise error_of(reply.status, reply.body)
    return reply


def _pairs(query: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, _text(value))
        for name, given in query.items()
        if given is not None
        for value in (given if isinstance(given, list | tuple) else (given,))
    )


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
