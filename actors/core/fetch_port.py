"""The port through which a node sends to others, and what it sends."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

__all__ = ["FetchPort", "Outgoing", "Received"]


class Outgoing(NamedTuple):
    """One POST. `private_headers` go to the origin of the URL only, not to where it redirects."""

    url: str
    headers: dict[str, str]
    private_headers: dict[str, str]
    body: bytes
    timeout_ms: int


class Received(NamedTuple):
    """The answer's status and the beginning of its body; 0 is none, and `detail` says why."""

    status: int
    detail: str


class FetchPort(Protocol):
    """Sends within the policy of `actors.core.url_policy`, every redirect judged anew."""

    def send(self, outgoing: Outgoing, answer: Callable[[Received], None]) -> None:
        """Send, and have `answer` called once, later. Never raises."""
