"""A peer: what one process knows of another, its neighbour on a link or behind its node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from actors import limits
from actors.errors import ActorUnavailable, Busy, JobdError, TooLarge
from actors.runtime.address import SCHEME
from actors.runtime.effects import ReplyTo
from actors.runtime.envelope import VERSION, Envelope, Kind
from actors.runtime.header import DIRECT, Header, encode_header
from actors.runtime.hello import Hello
from actors.runtime.letter import Letter
from actors.runtime.origin import UNKNOWN, Origin
from actors.runtime.outlet import Outlet
from actors.runtime.principal import Principal
from actors.runtime.signals import Terminated
from actors.runtime.stream import Stream
from actors.runtime.values import Blob
from actors.runtime.wire import Lane

if TYPE_CHECKING:
    from actors.runtime.link import Link

_TELL: Final = int(Kind.TELL)
_ASK: Final = int(Kind.ASK)
_ENCODER: Final = msgspec.msgpack.Encoder()

__all__ = ["Peer"]


class Peer:
    """The other end, for one incarnation of it; the engine's `Route` to it.

    A neighbour has lanes; a process behind the node has the node as its `via`.
    """

    is_node: ClassVar[bool] = False
    is_guest: bool = False
    origin: Origin = UNKNOWN  # of a neighbour's first lane

    def __init__(
        self,
        link: Link,
        hello: Hello,
        *,
        lane: Lane = b"",
        via: Peer | None = None,
        principal: Principal | None = None,
    ) -> None:
        self.link = link
        self.hello = hello
        self.node = hello.node
        self.prefix = f"{SCHEME}{hello.node}/"
        self.incarnation = hello.incarnation
        self.principal = principal
        self.lane = lane
        self.bulk: Lane | None = None
        self.via = via
        self.header = DIRECT if via is None else encode_header(Header(VERSION, self.node))
        self.stamp: bytes | None = None  # the header that the relay puts in front of its batches
        self.heard_s = link.engine.clock.monotonic_s()
        self.window = link.window_of(hello)
        self.is_lost = False
        self.contacts: dict[str, None] = {}  # the processes that it has sent to or heard of
        self.outlets: dict[int, Outlet] = {}  # streams that it reads
        self.watched: dict[tuple[str, str], None] = {}  # (watcher there, address here)
        self._asked: dict[int, tuple[ReplyTo, bytes, tuple[Blob, ...]]] = {}
        self._streams: dict[int, Stream[Any]] = {}  # that are read here
        self._watches: dict[tuple[str, str], None] = {}  # (watcher here, address there)

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The lanes that are its own."""
        if self.via is not None:
            return ()
        return (self.lane,) if self.bulk is None else (self.lane, self.bulk)

    def hear(self, lane: Lane, now_s: float) -> None:
        """Note that something came on a lane."""
        self.heard_s = now_s

    # -- from here to there

    def carry(self, address: str, letter: Letter) -> None:
        """Send a letter; an ask is kept until its answer, so that it can be repeated."""
        link, engine = self.link, self.link.engine
        message = letter.message
        if message.__class__ is Terminated:
            self.watched.pop((address, message.address), None)
            message = Terminated(link.absolute(message.address), message.reason)
        try:
            name, raw, blobs = link.vocabulary.encode(message)
        except (TypeError, TooLarge) as error:
            engine.refuse(address, letter, error)
            return
        reply, number, items, size = letter.reply, 0, 0, 0
        if reply is not None:
            full = self._full()
            if full:
                engine.refuse(address, letter, Busy(full))
                return
            number = next(link.numbers)
            if isinstance(reply, Outlet):
                stream = reply.sink
                assert isinstance(stream, Stream), "only its own asks leave a process"
                items, size = stream.credit
                stream.upstream = _Upstream(self, number, address)
                self._streams[number] = stream
        deadline_ms = letter.deadline_ms
        envelope = Envelope(
            VERSION,
            _TELL if reply is None else _ASK,
            0,
            number,
            address,
            link.absolute(letter.sender) if letter.sender else "",
            max(1, deadline_ms - engine.now_ms()) if deadline_ms else 0,
            letter.trace,
            name,
            raw,
            link.incarnation,
            items,
            size,
        )
        part = _ENCODER.encode(envelope)
        if reply is not None and not items:
            self._asked[number] = (reply, part, blobs)
        self.send(part, blobs)

    def watch(self, address: str, watcher: str) -> None:
        """Have the peer tell when an address there ends."""
        self._watches[watcher, address] = None
        self.send(self.link.encode(Kind.WATCH, dst=address, src=self.link.absolute(watcher)))

    def send(self, part: bytes, blobs: tuple[Blob, ...] = ()) -> None:
        """Send an encoded envelope; when the connection was lost, over the one that came after."""
        peer = self.link.peers.get(self.node) if self.is_lost else self
        if peer is not None and peer.incarnation == self.incarnation:
            self.link.send(peer, part, blobs)

    def resume(self) -> None:
        """Go on after a broken connection: repeat what has no answer yet, also watches.

        Streams have ended.
        """
        self._forget_expired()
        for _reply, part, blobs in list(self._asked.values()):
            self.send(part, blobs)
        for watcher, address in list(self._watches):  # who has ended meanwhile is told again
            self.watch(address, watcher)
        self._end_streams("the connection was broken")

    def _full(self) -> str:
        """Say why there is no room for another question, or nothing."""
        if len(self._streams) >= limits.STREAMS_PER_PEER:
            return f"{limits.STREAMS_PER_PEER} streams from {self.node}"
        if len(self._asked) >= limits.ASKS_PER_PEER and not self._forget_expired():
            return f"{limits.ASKS_PER_PEER} asks to {self.node}"
        return ""

    def _forget_expired(self) -> bool:
        """Forget asks whose asker has given up; say whether there is room then."""
        gone = [number for number, (reply, *_) in self._asked.items() if getattr(reply, "done", 0)]
        for number in gone:
            del self._asked[number]
        return len(self._asked) < limits.ASKS_PER_PEER

    # -- from there to here

    def answered(self, envelope: Envelope) -> ReplyTo | None:
        """Return who waits for an answer, once."""
        reply, *_ = self._asked.pop(envelope.corr, (None,))
        return reply

    def stream(self, number: int) -> Stream[Any] | None:
        """Return the stream that a question began."""
        return self._streams.get(number)

    def forget_stream(self, number: int) -> None:
        """Forget a stream that is over."""
        self._streams.pop(number, None)

    def terminated(self, message: Terminated, watcher: str) -> None:
        """Pass on that a watched address there has ended."""
        if self._watches.pop((watcher, message.address), 0) is None:
            cell = self.link.engine.cells.get(watcher)
            if cell is not None:
                self.link.engine.put(cell, message, message.address)

    def lost(self, error: JobdError) -> None:
        """Fail what waits for the peer."""
        self.is_lost = True
        asked, self._asked = self._asked, {}
        for reply, *_ in asked.values():
            reply.fail(error)
        self._end_streams(error.message)
        for watcher, address in list(self._watches):
            self.terminated(Terminated(address, f"unavailable: {error.message}"), watcher)
        for watcher, address in self.watched:
            cell = self.link.engine.cells.get(address)
            if cell is not None and cell.watchers is not None:
                cell.watchers.pop(watcher, None)

    def _end_streams(self, reason: str) -> None:
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            failure = ActorUnavailable(f"{self.node}: {reason}", maybe_executed=True)
            stream.end(0, None, failure)
        outlets, self.outlets = self.outlets, {}
        for outlet in outlets.values():
            outlet.cancel()


class _Upstream:
    """The way from the reader of a stream to a producer in another process."""

    def __init__(self, peer: Peer, number: int, address: str) -> None:
        self._peer = peer
        self._number = number
        self._address = address

    def grant(self, items: int, size: int) -> None:
        self._send(Kind.CREDIT, items=items, size=size)

    def cancel(self) -> None:
        self._peer.forget_stream(self._number)
        self._send(Kind.CANCEL)

    def _send(self, kind: Kind, items: int = 0, size: int = 0) -> None:
        part = self._peer.link.encode(
            kind, corr=self._number, dst=self._address, items=items, size=size
        )
        self._peer.send(part)
