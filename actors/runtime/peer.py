"""A peer: what one process knows of another that it has a link to."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import msgspec

from actors import limits
from actors.errors import ActorUnavailable, Busy, TooLarge
from actors.runtime.effects import ReplyTo
from actors.runtime.envelope import Envelope, Kind, encode_error
from actors.runtime.letter import Letter
from actors.runtime.signals import Terminated

if TYPE_CHECKING:
    from actors.runtime.link import Link

__all__ = ["Peer", "RemoteReply"]


class Peer:
    """The other end of a link, for one incarnation of it; the engine's `Route` to it."""

    def __init__(self, link: Link, routing_id: bytes, node: str, incarnation: int) -> None:
        self.link = link
        self.routing_id = routing_id
        self.node = node
        self.incarnation = incarnation
        self.heard_s = link.engine.clock.monotonic_s()
        self.window = link.window_of(node, incarnation)
        self.is_lost = False
        self._asked: dict[int, tuple[ReplyTo, bytes]] = {}
        self._watches: dict[tuple[str, str], None] = {}  # (watcher here, address there)
        self.watched: dict[tuple[str, str], None] = {}  # (watcher there, address here)

    # -- from here to there

    def carry(self, address: str, letter: Letter) -> None:
        """Send a letter; an ask is kept until its answer, so that it can be repeated."""
        engine = self.link.engine
        try:
            name, body = self.link.vocabulary.encode(letter.message)
        except (TypeError, TooLarge) as error:
            engine.refuse(address, letter, error)
            return
        reply, number = letter.reply, 0
        if reply is not None:
            if len(self._asked) >= limits.ASKS_PER_PEER and not self._forget_expired():
                engine.refuse(address, letter, Busy(f"{limits.ASKS_PER_PEER} asks to {self.node}"))
                return
            number = next(self.link.numbers)
        left_ms = max(1, letter.deadline_ms - engine.now_ms()) if letter.deadline_ms else 0
        part = self.link.encode(
            Kind.TELL if reply is None else Kind.ASK,
            corr=number,
            dst=address,
            src=letter.sender or "",
            deadline_ms=left_ms,
            trace=letter.trace,
            type=name,
            body=body,
        )
        if reply is not None:
            self._asked[number] = (reply, part)
        self.link.wire.send(self.routing_id, part)

    def watch(self, address: str, watcher: str) -> None:
        """Have the peer tell when an address there ends."""
        self._watches[watcher, address] = None
        self.send(self.link.encode(Kind.WATCH, dst=address, src=watcher))

    def send(self, part: bytes) -> None:
        """Send an encoded envelope; when the connection was lost, over the one that came after."""
        routing_id = self.routing_id
        if self.is_lost:
            successor = self.link.peer_of(self.node, self.incarnation)
            if successor is None:
                return
            routing_id = successor.routing_id
        self.link.wire.send(routing_id, part)

    def repeat_asks(self) -> None:
        """Send again what has no answer yet: the connection was broken in between."""
        self._forget_expired()
        for _reply, part in self._asked.values():
            self.send(part)

    def _forget_expired(self) -> bool:
        """Forget asks whose asker has given up; say whether there is room then."""
        gone = [number for number, (reply, _) in self._asked.items() if getattr(reply, "done", 0)]
        for number in gone:
            del self._asked[number]
        return len(self._asked) < limits.ASKS_PER_PEER

    # -- from there to here

    def answered(self, envelope: Envelope) -> ReplyTo | None:
        """Return who waits for an answer, once."""
        reply, _part = self._asked.pop(envelope.corr, (None, b""))
        return reply

    def terminated(self, message: Terminated, watcher: str) -> None:
        """Pass on that a watched address there has ended."""
        self._watches.pop((watcher, message.address), None)
        cell = self.link.engine.cells.get(watcher)
        if cell is not None:
            self.link.engine.put(cell, message, message.address)

    def lost(self, reason: str) -> None:
        """Fail what waits for the peer: it may have done what it was asked."""
        self.is_lost = True
        asked, self._asked = self._asked, {}
        for reply, _part in asked.values():
            reply.fail(ActorUnavailable(f"{self.node}: {reason}", maybe_executed=True))
        for watcher, address in list(self._watches):
            self.terminated(Terminated(address, f"unavailable: {reason}"), watcher)
        for watcher, address in self.watched:
            cell = self.link.engine.cells.get(address)
            if cell is not None and cell.watchers is not None:
                cell.watchers.pop(watcher, None)


class RemoteReply:
    """The ReplyTo of a question from a peer."""

    __slots__ = ("_dst", "_number", "_peer", "_src", "done")

    def __init__(self, peer: Peer, envelope: Envelope) -> None:
        self._peer = peer
        self._number = envelope.corr
        self._dst = envelope.src
        self._src = envelope.dst
        self.done = False

    def set(self, value: Any = None) -> None:
        """Answer with a value; one that can't be encoded is answered by that error."""
        try:
            name, body = self._peer.link.vocabulary.encode(value)
        except (TypeError, TooLarge) as error:
            self.fail(error)
        else:
            self._answer(Kind.REPLY, name, body)

    def fail(self, error: BaseException) -> None:
        """Answer with an error."""
        self._answer(Kind.ERROR, "", encode_error(error))

    def set_exception(self, exc_info: Any = None) -> None:
        """Answer with an error, as Pykka does."""
        error = (exc_info or sys.exc_info())[1]
        self.fail(error if error is not None else RuntimeError("no exception"))

    def _answer(self, kind: Kind, name: str, body: msgspec.Raw) -> None:
        if self.done:
            return
        self.done = True
        part = self._peer.link.encode(
            kind, corr=self._number, dst=self._dst, src=self._src, type=name, body=body
        )
        if len(part) <= limits.VALUE_BYTES:  # a larger answer is not kept for repeats
            self._peer.window.answered(self._number, part)
        self._peer.send(part)
