"""Answers to another process: of a question, and of a stream."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import msgspec

from actors import limits
from actors.errors import TooLarge
from actors.runtime.envelope import VERSION, Envelope, Kind, encode_error

if TYPE_CHECKING:
    from actors.runtime.peer import Peer

_ENCODER: Final = msgspec.msgpack.Encoder()
_REPLY: Final = int(Kind.REPLY)
_ERROR: Final = int(Kind.ERROR)

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
            name, raw, blobs = self._peer.link.vocabulary.encode(value)
        except (TypeError, TooLarge) as error:
            self.fail(error)
        else:
            self._answer(_REPLY, name, raw, blobs)

    def fail(self, error: BaseException) -> None:
        """Answer with an error."""
        self._answer(_ERROR, "", encode_error(error))

    def set_exception(self, exc_info: Any = None) -> None:
        """Answer with an error, as Pykka does."""
        error = (exc_info or sys.exc_info())[1]
        self.fail(error if error is not None else RuntimeError("no exception"))

    def _answer(self, kind: int, name: str, body: Any, blobs: tuple[Any, ...] = ()) -> None:
        if self.done:
            return
        self.done = True
        peer, asked = self._peer, self._asked
        part = _ENCODER.encode(
            Envelope(
                VERSION,
                kind,
                0,
                asked.corr,
                asked.src,
                asked.dst,
                0,
                None,
                name,
                body,
                peer.link.incarnation,
            )
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
        name, raw, blobs = self._peer.link.vocabulary.encode(value)
        self._peer.send(self._envelope(Kind.ITEM, number, name, raw), blobs)
        return len(memoryview(raw)) + sum(map(len, blobs))

    def end(self, sent: int, value: Any, error: BaseException | None) -> None:
        """Send the end, behind so many items."""
        self._peer.outlets.pop(self._asked.corr, None)
        self._peer.window.answered(self._asked.corr, None)
        blobs: tuple[Any, ...] = ()
        if error is None:
            try:
                name, raw, blobs = self._peer.link.vocabulary.encode(value)
                part = self._envelope(Kind.REPLY, sent, name, raw)
            except (TypeError, TooLarge) as failure:
                error = failure
        if error is not None:
            part = self._envelope(Kind.ERROR, sent, "", encode_error(error))
        self._peer.send(part, blobs)

    def _envelope(self, kind: Kind, items: int, name: str, body: Any) -> bytes:
        asked = self._asked
        return self._peer.link.encode(
            kind, corr=asked.corr, dst=asked.src, src=asked.dst, type=name, body=body, items=items
        )
