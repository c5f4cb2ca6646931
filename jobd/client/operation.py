"""An operation of the API as a value: what is asked, how its answer is read, when to ask again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import msgspec

from jobd.api.message import ApiReply, ApiRequest
from jobd.client.failure import error_of

__all__ = ["Again", "Operation", "Query", "any_operation", "nothing", "operation", "reads_as"]

T = TypeVar("T")
Again = Literal["safe", "once"]
Query = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One request.

    `again` says what a second sending is: `safe` is as good as one, since it only looks, or has a
    key by which the node knows it; `once` may be another change, so it is sent again only when the
    first is known not to have been done. `takes_s` is how long the node may take by intent, on top
    of the client's time.
    """

    request: ApiRequest
    read: Callable[[ApiReply], T]
    again: Again = "safe"
    takes_s: float = 0.0
    key: str = ""  # the idempotency key that it carries

    def value_of(self, reply: ApiReply) -> T:
        """Return what an answer says. Raises the error that it is."""
        if reply.status >= 400:
            raise error_of(reply.status, reply.body)
        return self.read(reply)


def operation(
    name: str,
    read: Callable[[ApiReply], T],
    *,
    params: dict[str, str] | None = None,
    query: Query | None = None,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    again: Again = "safe",
    takes_s: float = 0.0,
    key: str = "",
) -> Operation[T]:
    """Make an operation; parameters of the query that are None are left out."""
    sent = dict(headers or {})
    if key:
        sent["Idempotency-Key"] = key
    request = ApiRequest(name, params or {}, _pairs(query or {}), sent, body)
    return Operation(request, read, again, takes_s, key)


def any_operation(
    name: str,
    params: Mapping[str, str],
    query: Mapping[str, Any],
    body: bytes,
    headers: Mapping[str, str],
    again: Again,
    takes_s: float,
) -> Operation[ApiReply]:
    """Make an operation whose answer stays as it is."""
    request = ApiRequest(name, dict(params), _pairs(query), dict(headers), body)
    return Operation(request, lambda reply: reply, again, takes_s)


def reads_as(type_: type[T]) -> Callable[[ApiReply], T]:
    """Return what reads a JSON body of this type; what a newer node adds is passed over."""
    decoder = msgspec.json.Decoder(type_)
    return lambda reply: decoder.decode(reply.body)


def nothing(reply: ApiReply) -> None:
    """Read an answer without a body."""


def _pairs(query: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, _text(value))
        for name, given in query.items()
        if given is not None
        for value in (given if isinstance(given, list | tuple) else (given,))
    )


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
