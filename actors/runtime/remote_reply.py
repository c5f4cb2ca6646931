"""Answers to another process: of a question, and of a stream."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from actors import limits
from actors.errors import TooLarge
from actors.runtime.envelope import Envelope, Kind, encode_error

if TYPE_CHECKING:
    from actors.runtime.peer import Peer

__all__ = ["RemoteReply", "RemoteSink"]


class RemoteReply:
    """The ReplyTo of a question from a peer."""

    __slots__ = ("_asked", "_peer", "done")

    def __init__(self, peer: Peer, asked: Envelope) -> None:
        self._peer = peer
        self._asked = asked
        self.done = False

    def set(self, value: Any = None) -> None:
        """Answer with a value; one that can't be encoded is answered by that error."""
        try:
            body = self._peer.link.vocabulary.encode(value)
        except (TypeError, TooLarge) as error:
            self.fail(error)
        else:
            self._answer(Kind.REPLY, *body)

    def fail(self, error: BaseException) -> None:
        """Answer with an error."""
        self._answer(Kind.ERROR, "", encode_error(error))

    def set_exception(self, exc_info: Any = None) -> None:
        """Answer with an error, as Pykka does."""
        error = (exc_info or sys.exc_info())[1]
        self.fail(error if error is not None else RuntimeError("no exception"))

    def _answer(self, kind: Kind, name: str, body: Any, blobs: tuple[Any, ...] = ()) -> None:
        if self.done:
            return
        self.done = True
        peer, asked = self._peer, self._asked
        part = peer.link.encode(
            kind, corr=asked.corr, dst=asked.src, src=asked.dst, type=name, body=body
        )
        is_kept = not blobs and len(part) <= limits.VALUE_BYTES
        peer.window.answered(asked.corr, part if is_kept else None)
        peer.send(part, blobs)


class RemoteSink:
    """The way to a stream's reader in another process; see `Outlet`."""

    def __init__(self, peer: Peer, asked: Envelope) -> None:
        self._peer = peer
        self._asked = asked

    def item(self, number: int, value: Any) -> int:
        """Send an item and return its size in bytes. Raises TypeError, TooLarge."""
        body = self._peer.link.vocabulary.encode(value)
        part = self._envelope(Kind.ITEM, number, body.type, body.raw)
        self._peer.send(part, body.blobs)
        return len(body.raw) + sum(map(len, body.blobs))

    def end(self, sent: int, value: Any, error: BaseException | None) -> None:
        """Send the end, behind so many items."""
        self._peer.outlets.pop(self._asked.corr, None)
        self._peer.window.answered(self._asked.corr, None)
        blobs: tuple[Any, ...] = ()
        if error is None:
            try:
                body = self._peer.link.vocabulary.encode(value)
            except (TypeError, TooLarge) as failure:
                error = failure
            else:
                part = self._envelope(Kind.REPLY, sent, body.type, body.raw)
                blobs = body.blobs
        if error is not None:
            part = self._envelope(Kind.ERROR, sent, "", encode_error(error))
        self._peer.send(part, blobs)

    def _envelope(self, kind: Kind, items: int, name: str, body: Any) -> bytes:
        asked = self._asked
        return self._peer.link.encode(
            kind, corr=asked.corr, dst=asked.src, src=asked.dst, type=name, body=body, items=items
        )
