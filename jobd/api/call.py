"""What a handler is given and what it answers, whatever door the request came through."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, NamedTuple, TypeVar

from actors.core.store.txn import EXISTS
from actors.errors import InvalidInput
from jobd.api.gateway import Gateway, RequestKey, Submitted, Written
from jobd.api.principal import Principal

__all__ = [
    "HEARTBEAT_S",
    "Answer",
    "Call",
    "Clock",
    "File",
    "Item",
    "Items",
    "Pieces",
    "Reply",
    "Stream",
    "once",
]

HEARTBEAT_S: Final = 15.0  # the longest silence of a stream
_IDEMPOTENCY_KEY: Final = re.compile(r"[!-~]{1,255}")
# A compressed answer's ETag says so: other bytes, the same object.
_ETAG: Final = re.compile(r'"?([0-9]{1,16})(?:-gzip|-deflate)?"?')

Clock = Callable[[], int]  # Unix milliseconds
Q = TypeVar("Q")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Call(Generic[Q, B]):
    """An admitted request, with its parameters and its body in their types.

    `params` are the segments of the path. `headers` are HTTP's, by HTTP's names at every door.
    """

    gateway: Gateway
    clock: Clock
    principal: Principal
    params: Mapping[str, str]
    headers: Mapping[str, str]
    query: Q
    body: B
    raw: bytes = b""

    def path(self, name: str) -> str:
        """Return a segment of the path."""
        return self.params[name]

    @property
    def if_match(self) -> int | None:
        """The revision that `If-Match` names, EXISTS for `*`, None without one.

        Raises InvalidInput.
        """
        text = self.headers.get("If-Match")
        if text is None:
            return None
        if text.strip() == "*":
            return EXISTS
        tag = _ETAG.fullmatch(text.strip())
        if tag is None:
            raise InvalidInput(
                f"If-Match must be one strong ETag, not {text!r}", remedy='Send If-Match: "42".'
            )
        return int(tag[1])

    @property
    def if_none_match(self) -> bool:
        """Whether `If-None-Match: *` asks that there be nothing yet. Raises InvalidInput."""
        text = self.headers.get("If-None-Match")
        if text not in (None, "*"):
            raise InvalidInput(f"If-None-Match must be * here, not {text!r}")
        return text == "*"

    @property
    def idempotency_key(self) -> str | None:
        """The client's own idempotency key, None without one. Raises InvalidInput."""
        text = self.headers.get("Idempotency-Key")
        if text is None or _IDEMPOTENCY_KEY.fullmatch(text):
            return text
        raise InvalidInput("Idempotency-Key must be 1 to 255 visible ASCII characters")

    def request_key(self, operation: str) -> RequestKey:
        """What a repeat of this write is known by."""
        said = hashlib.sha256(f"{operation} ".encode() + self.raw).hexdigest()
        return RequestKey(self.principal.token_id, self.idempotency_key, said)

    def knows(self, revision: int) -> bool:
        """Say whether `If-None-Match` of a read names this revision: the caller has it already."""
        text = self.headers.get("If-None-Match", "")
        tags = (tag.strip().removeprefix("W/") for tag in text.split(","))
        found = (_ETAG.fullmatch(tag) for tag in tags)
        return any(tag is not None and int(tag[1]) == revision for tag in found)

    @property
    def last_event_id(self) -> str | None:
        """The id of the last item that a stream's listener has seen."""
        return self.headers.get("Last-Event-ID")


@dataclass(frozen=True, slots=True)
class Reply:
    """One value. `revision` becomes X-JobD-Revision, `etag` the object's ETag."""

    value: Any = None  # bytes go as they are, the rest as JSON, None is no body
    status: int | None = None  # None: the route's own
    revision: int | None = None  # None: what is applied at this node
    etag: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class File:
    """The bytes of a file; `name` is what a browser would save it as."""

    path: Path
    content_type: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Pieces:
    """The bytes of a file that another node has, as they come. `size_bytes` is known before."""

    pieces: AsyncGenerator[bytes, None]
    content_type: str
    size_bytes: int
    name: str = ""


class Item(NamedTuple):
    """One item of a stream; a listener that comes back names the last `id` it saw."""

    event: str
    data: Any
    id: str = ""


Items = AsyncGenerator[list[Item], None]


@dataclass(frozen=True, slots=True)
class Stream:
    """Items as they come. An empty list says, after HEARTBEAT_S of silence, that it lives.

    Whoever answers with it pulls, so a slow listener costs itself only, and closes it at the end.
    """

    items: Items


Answer = Reply | File | Pieces | Stream


def once(made: Submitted | Written, value: Any, **more: Any) -> Reply:
    """Return the reply of a write that is made once: the route's status, or 200 for a replay."""
    headers = {"Idempotency-Key": made.key} | more.pop("headers", {})
    if made.replayed:
        headers["Idempotent-Replayed"] = "true"
    status = 200 if made.replayed else None
    return Reply(value, status=status, revision=made.revision, headers=headers, **more)
