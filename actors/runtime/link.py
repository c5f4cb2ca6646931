"""A link between two processes of one machine: a node and its child, over a ZeroMQ ipc socket.

The node binds a ROUTER in its private directory, each child connects a DEALER. Rules:
1. The first envelope of each side is a HELLO with node, incarnation and versions; before it
   nothing else is answered. Another incarnation of a node is another peer.
2. Both sides ping each second from the loop itself, so that a wedged process counts as silent
   (ZMTP's own heartbeats are answered by an I/O thread). Silent for PEER_TIMEOUT_S is lost: asks
   fail with ActorUnavailable(maybe_executed=True), watchers get `Terminated`.
3. A process whose own tick came late starts its timers anew before it calls anyone silent.
4. After a broken connection the asks without an answer are sent again; the receiver's de-dup
   window makes that effectively once.
5. What a peer sends is checked: version, incarnation, sender, size, type. What fails is counted
   in `refused` and answered with an error if it was an ask.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, Final

import msgspec
import zmq

from actors import limits
from actors.errors import ActorUnavailable, ConfigError, DeadLetter
from actors.runtime.address import node_of
from actors.runtime.cell import TimerHandle
from actors.runtime.dedup import DedupWindow
from actors.runtime.engine import Engine
from actors.runtime.envelope import (
    VERSION,
    BadFrame,
    Envelope,
    Hello,
    Kind,
    Vocabulary,
    decode_error,
    decode_frame,
    encode_error,
)
from actors.runtime.future import LoopFuture
from actors.runtime.letter import Letter
from actors.runtime.peer import Peer, RemoteReply
from actors.runtime.signals import Terminated
from actors.runtime.trace import is_traceparent
from actors.runtime.wire import Wire

__all__ = ["Link"]

_ENCODER: Final = msgspec.msgpack.Encoder()
_HELLO: Final = msgspec.msgpack.Decoder(Hello)


class Link:
    """One socket of a process with its peers. `ready` is set when a child has its node.

    `child` connects (a child to its node); else it binds. Make it on the loop.
    """

    def __init__(
        self,
        engine: Engine,
        endpoint: str,
        *,
        node: str,
        incarnation: int,
        vocabulary: Vocabulary,
        child: bool = False,
    ) -> None:
        self.engine = engine
        self.vocabulary = vocabulary
        self.peers: dict[bytes, Peer] = {}
        self.refused = 0
        self.ready: LoopFuture[str] = LoopFuture()
        self.numbers = count(1)  # of questions: never used twice in an incarnation
        self._windows: dict[str, tuple[int, DedupWindow]] = {}
        self._node = node
        self._incarnation = incarnation
        self._is_child = child
        self._last_tick_s = engine.clock.monotonic_s()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
        self.wire = Wire(
            self._context,
            endpoint,
            routing_id=f"{node}#{incarnation}".encode() if child else None,
            on_frame=self._on_frame,
            on_lost=lambda peer: self._lose(peer, "its connection is gone"),
        )
        self._timer: TimerHandle = engine.call_later(0, self._tick)

    def peer_of(self, node: str, incarnation: int) -> Peer | None:
        """Return the present connection to an incarnation of a node."""
        for peer in self.peers.values():
            if (peer.node, peer.incarnation) == (node, incarnation):
                return peer
        return None

    def window_of(self, node: str, incarnation: int) -> DedupWindow:
        """Return a node's de-dup window, which outlives its connections, not its incarnation."""
        known = self._windows.get(node)
        if known is None or known[0] != incarnation:
            known = self._windows[node] = (incarnation, DedupWindow())
        return known[1]

    def lose(self, node: str, reason: str) -> None:
        """Count a node as lost, because its process is known to have ended."""
        for peer in [each for each in self.peers.values() if each.node == node]:
            self._lose(peer.routing_id, reason)

    def close(self) -> None:
        """Part with every peer."""
        self._timer.cancel()
        for routing_id in list(self.peers):
            self._lose(routing_id, "the link was closed")
        self.wire.close()
        self._context.term()

    def encode(self, kind: Kind, **fields: Any) -> bytes:
        """Return an encoded envelope of this process."""
        return _ENCODER.encode(
            Envelope(VERSION, int(kind), incarnation=self._incarnation, **fields)
        )

    # -- liveness

    def _tick(self) -> None:
        now_s = self.engine.clock.monotonic_s()
        was_late = now_s - self._last_tick_s > 2 * limits.HEARTBEAT_S
        self._last_tick_s = now_s
        for peer in list(self.peers.values()):
            if was_late:
                peer.heard_s = now_s
            silent_s = now_s - peer.heard_s
            if silent_s > limits.PEER_TIMEOUT_S:
                self._lose(peer.routing_id, f"silent for {silent_s:.1f} s")
            else:
                if self._is_child and silent_s > 2 * limits.HEARTBEAT_S:
                    self._say_hello(peer.routing_id)
                peer.send(self.encode(Kind.PING))
        if self._is_child and not self.peers:
            self.wire.drop(b"")  # earlier hellos
            self._say_hello(b"")
        self._timer = self.engine.call_later(limits.HEARTBEAT_S, self._tick)

    def _lose(self, routing_id: bytes, reason: str) -> None:
        peer = self.peers.pop(routing_id, None)
        self.wire.drop(routing_id)
        if peer is not None:
            if self.engine.routes.get(peer.node) is peer:
                del self.engine.routes[peer.node]
            peer.lost(reason)

    def _say_hello(self, routing_id: bytes) -> None:
        body = msgspec.Raw(_ENCODER.encode(Hello(self._node, self._incarnation)))
        self.wire.send(routing_id, self.encode(Kind.HELLO, body=body))

    # -- what arrives

    def _on_frame(self, routing_id: bytes, frame: bytes) -> None:
        try:
            envelopes = decode_frame(frame)
        except BadFrame:
            self.refused += 1
            return
        for envelope in envelopes:
            try:
                self._on_envelope(routing_id, envelope)
            except BadFrame as error:
                self.refused += 1
                if envelope.kind == Kind.ASK and routing_id in self.peers:
                    self._answer_error(routing_id, envelope, error)

    def _on_envelope(self, routing_id: bytes, envelope: Envelope) -> None:
        peer = self.peers.get(routing_id)
        if envelope.kind == Kind.HELLO:
            self._on_hello(routing_id, envelope)
        elif peer is None:
            if self._is_child and envelope.kind == Kind.ERROR:
                self.ready.fail(decode_error(envelope.body))  # the node wants no such child
            else:
                raise BadFrame("it has not said hello")
        elif envelope.incarnation != peer.incarnation:
            raise BadFrame(f"incarnation {envelope.incarnation}, not {peer.incarnation}")
        else:
            peer.heard_s = self.engine.clock.monotonic_s()
            handler = _HANDLERS.get(envelope.kind)
            if handler is None:
                raise BadFrame(f"unknown kind {envelope.kind}")
            handler(self, peer, envelope)

    def _on_hello(self, routing_id: bytes, envelope: Envelope) -> None:
        try:
            hello = _HELLO.decode(envelope.body)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise BadFrame(f"not a hello: {error}") from None
        if not hello.min_version <= VERSION <= hello.max_version:
            wanted = f"{hello.min_version} to {hello.max_version}"
            refusal = ConfigError(f"{self._node} speaks version {VERSION}, not {wanted}")
            self._answer_error(routing_id, envelope, refusal)
            return
        known = self.peers.get(routing_id)
        if not self._is_child:
            self._say_hello(routing_id)
        if known is not None and known.incarnation == hello.incarnation:
            known.heard_s = self.engine.clock.monotonic_s()
            known.repeat_asks()
            return
        if known is not None:
            self._lose(routing_id, "it was restarted")
        self.lose(hello.node, "it was restarted")
        peer = Peer(self, routing_id, hello.node, hello.incarnation)
        self.peers[routing_id] = self.engine.routes[hello.node] = peer
        self.ready.set(hello.node)

    def _answer_error(self, routing_id: bytes, envelope: Envelope, error: BaseException) -> None:
        part = self.encode(
            Kind.ERROR,
            corr=envelope.corr,
            dst=envelope.src,
            src=envelope.dst,
            body=encode_error(error),
        )
        self.wire.send(routing_id, part)

    def _on_message(self, peer: Peer, envelope: Envelope) -> None:
        """Deliver a tell or an ask to an actor of this process."""
        if envelope.src and node_of(envelope.src) != peer.node:
            raise BadFrame(f"{envelope.src[:128]} is not of {peer.node}")
        message = self.vocabulary.decode(envelope.type, envelope.body)
        reply = None
        if envelope.kind == Kind.ASK:
            seen = peer.window.admit(envelope.corr)
            if isinstance(seen, bytes):
                peer.send(seen)
                return
            if seen == "under way":
                return
            if seen == "expired":
                expired = ActorUnavailable("its answer is forgotten", maybe_executed=True)
                self._answer_error(peer.routing_id, envelope, expired)
                return
            reply = RemoteReply(peer, envelope)
        if isinstance(message, Terminated):
            peer.terminated(message, envelope.dst)
            return
        deadline_ms = self.engine.now_ms() + envelope.deadline_ms if envelope.deadline_ms else 0
        trace = envelope.trace if envelope.trace and is_traceparent(envelope.trace) else None
        letter = Letter(message, reply, envelope.src or None, deadline_ms, trace)
        if node_of(envelope.dst) == self._node:
            self.engine.deliver(envelope.dst, letter)
        else:
            there = DeadLetter(f"{envelope.dst[:128]} is not at {self._node}")
            self.engine.refuse(envelope.dst[:128], letter, there)

    def _on_reply(self, peer: Peer, envelope: Envelope) -> None:
        reply = peer.answered(envelope)
        if reply is not None:
            try:
                reply.set(self.vocabulary.decode(envelope.type, envelope.body))
            except BadFrame as error:
                reply.fail(error)
                raise

    def _on_error(self, peer: Peer, envelope: Envelope) -> None:
        reply = peer.answered(envelope)
        if reply is not None:
            reply.fail(decode_error(envelope.body))

    def _on_watch(self, peer: Peer, envelope: Envelope) -> None:
        watcher, address = envelope.src, envelope.dst
        cell = self.engine.cells.get(address)
        if cell is None:
            peer.carry(watcher, Letter(Terminated(address, "unknown"), None, address))
            return
        if cell.watchers is None:
            cell.watchers = {}
        cell.watchers[watcher] = None
        peer.watched[watcher, address] = None

    def _on_ping(self, peer: Peer, envelope: Envelope) -> None:
        """Do nothing: that it was heard is all."""


_HANDLERS: Final[dict[int, Callable[[Link, Peer, Envelope], None]]] = {
    Kind.ASK: Link._on_message,
    Kind.ERROR: Link._on_error,
    Kind.PING: Link._on_ping,
    Kind.REPLY: Link._on_reply,
    Kind.TELL: Link._on_message,
    Kind.WATCH: Link._on_watch,
}
