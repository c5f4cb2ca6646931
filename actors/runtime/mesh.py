"""The mesh: the links among the nodes of a cluster.

A node has one port, for its clients and for the other nodes. It dials each node that it knows an
address of, and is dialled; letters go over whatever is up. Rules:
M1. A node is let in that belongs to the same cluster and that `admit` knows, where there are keys
    by the one that its connection proved. A node of no cluster yet is a guest, as is every other
    to it: it reaches /formation and /join and nothing else.
M2. A node is its incarnation and the key that its process drew. An older incarnation, and another
    process under the name of one that is linked, are refused; a newer one takes its place.
M3. Messages leave on one connection and are taken from any. Who notices that one has broken has
    both sides send again the asks without an answer; streams end, as on any link.
M4. Each lane is pinged from the loop, both ways. One that is silent for the failure timeout is
    lost, and at once one whose connection is known to be gone. After a late tick of this process
    all that was silent meanwhile starts anew.
M5. What is dialled is dialled for ever, until it is forgotten.
M6. Nothing is kept for a node without a link, and no more than NODE_OUTBOX_BYTES of tells for one
    that doesn't read: further tells to it are dropped, asks to one without a link fail at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

from actors import limits
from actors.errors import ActorUnavailable, JobdError
from actors.runtime.address import node_of
from actors.runtime.curve import Curve
from actors.runtime.dial import Dial, Target
from actors.runtime.envelope import REPEAT, BadFrame, Envelope, Kind, decode_error, decode_frame
from actors.runtime.hello import FEATURES, Hello, decode_hello, encode_hello
from actors.runtime.letter import Letter
from actors.runtime.node_handshake import NodeAdmit, NodeHandshake, Vouch
from actors.runtime.node_peer import NodePeer
from actors.runtime.peer import Peer
from actors.runtime.signals import Terminated
from actors.runtime.wire import Frame, Lane

if TYPE_CHECKING:
    from actors.runtime.link import Link

__all__ = ["LinkRow", "Mesh"]

_PROCESS_KEY_BITS: Final = 128


class LinkRow(NamedTuple):
    """What the mesh knows of a node: `state` is up, guest or down; `error`: why it isn't dialled.

    `dropped`: tells given up since it is linked.
    """

    node: str
    address: str
    state: str
    error: str
    dropped: int


class Mesh:
    """The links of one node with the others, over the port of `link`. Make it on the loop.

    `cluster`: the id of the cluster, "" while there is none. `admit(hello, key)` raises what a node
    is refused with; it is asked again each second. `vouch(origin)` raises what a connection without
    keys is refused with. `on_up(node)` and `on_down(node, reason)` are
    called for nodes of the cluster, `on_guest(node)` for others. `silence_s`: the failure
    timeout.
    """

    def __init__(
        self,
        link: Link,
        *,
        cluster: str,
        admit: NodeAdmit | None = None,
        vouch: Vouch | None = None,
        on_up: Callable[[str], object] | None = None,
        on_down: Callable[[str, str], object] | None = None,
        on_guest: Callable[[str], object] | None = None,
        silence_s: float = limits.PEER_TIMEOUT_S,
    ) -> None:
        self.link = link
        self.cluster = cluster
        self.key = link.engine.rng.getrandbits(_PROCESS_KEY_BITS).to_bytes(16, "big")
        self.silence_s = silence_s
        self._on_up = on_up
        self._on_down = on_down
        self._on_guest = on_guest
        self._dials: list[Dial] = []
        self._lanes = count(1)
        self._handshake = NodeHandshake(self, admit, vouch)
        link.mesh = self
        link.engine.default_route = self

    # -- who is dialled

    def connect(
        self, node: str, address: str, key: bytes = b"", *, curve: Curve | None = None
    ) -> None:
        """Dial a node at HOST:PORT from now on; again with another address, there too.

        `node`: its id, "" while only the address is known. `key`: its public CURVE key, empty for
        a port without encryption. `curve`: the key pair to come with, by default the link's own.
        """
        if node == self.link.node:
            return
        target = Target(address, key, curve)
        dial = (self._dial_of(node) if node else None) or self._dial_at(address)
        if dial is None or (node and dial.node not in ("", node)):
            self._dials.append(Dial(self, node, target))
        else:
            dial.node = node or dial.node
            dial.aim(target)

    def forget(self, node: str) -> None:
        """Dial a node no more, and part with it."""
        dial = self._dial_of(node)
        if dial is not None:
            self.stop_dialing(dial)
        peer = self.link.peers.get(node)
        if isinstance(peer, NodePeer):
            self._part(peer, "it is no member any more")

    def belong(self, cluster: str) -> None:
        """Belong to a cluster from now on: every link is made anew."""
        if cluster != self.cluster:
            self.cluster = cluster
            for peer in list(self._peers()):
                self._part(peer, "this node has another cluster now")

    # -- who is linked

    def linked(self) -> frozenset[str]:
        """Return the nodes of the cluster that have a link now."""
        return frozenset(peer.node for peer in self._peers() if not peer.is_guest)

    def guests(self) -> frozenset[str]:
        """Return the linked nodes that may be asked at /formation and /join only."""
        return frozenset(peer.node for peer in self._peers() if peer.is_guest)

    def node_at(self, address: str) -> str:
        """Return the id of the node that is dialled at an address, "" while it is not known."""
        dial = self._dial_at(address)
        return dial.node if dial is not None else ""

    def rows(self) -> list[LinkRow]:
        """Return a row for each node that is dialled or linked."""
        peers = {peer.node: peer for peer in self._peers()}
        rows = []
        for dial in self._dials:
            peer = peers.pop(dial.node, None)
            rows.append(_row(dial.node, dial.address, peer, dial.error))
        return rows + [_row(peer.node, "", peer, "") for peer in peers.values()]

    def _peers(self) -> Iterator[NodePeer]:
        return (peer for peer in self.link.peers.values() if isinstance(peer, NodePeer))

    def _dial_of(self, node: str) -> Dial | None:
        return next((dial for dial in self._dials if dial.node == node), None)

    def _dial_at(self, address: str) -> Dial | None:
        return next(
            (dial for dial in self._dials if any(address == to.address for to in dial.targets)),
            None,
        )

    def _part(self, peer: NodePeer, reason: str) -> None:
        lanes = peer.lanes
        self.link.lose(peer.node, reason)
        for lane in lanes:
            if lane[:1] == b"\0":  # a dialled one is closed
                self.link.send_on(lane, self.link.encode(Kind.GONE))

    # -- the route to nodes without a link (the engine's default route)

    def carry(self, address: str, letter: Letter) -> None:
        """Drop a tell, refuse an ask; what is for this node itself is delivered."""
        engine, node = self.link.engine, node_of(address)
        if node == self.link.node and address not in engine.cells:
            engine.deliver(address[len(self.link.prefix) - 1 :], letter)
        elif not self._knows(node):
            engine.refuse(address, letter, engine.nobody_at(address))
        elif letter.reply_to is not None:
            letter.fail(ActorUnavailable(f"no link to the node {node}", maybe_executed=False))

    def watch(self, address: str, watcher: str) -> None:
        """Tell the watcher that nobody is there."""
        reason = "unavailable: no link" if self._knows(node_of(address)) else "unknown"
        engine = self.link.engine
        engine.put(engine.cells[watcher], Terminated(address, reason), address)

    def _knows(self, node: str) -> bool:
        hello = self.link.last_hello(node)
        return self._dial_of(node) is not None or (hello is not None and hello.role == "node")

    # -- hellos

    def new_lane(self) -> Lane:
        """Return a name for a lane that this node dials; a ROUTER's own begin with a zero."""
        return b"dial-%d" % next(self._lanes)

    def say_hello(self, lane: Lane, name: str = "") -> None:
        """Say who this node is, on the lane of that name."""
        body = encode_hello(self.hello(name))
        self.link.send_on(lane, self.link.encode(Kind.HELLO, body=body))

    def hello(self, name: str) -> Hello:
        """Return what this node says of itself on a lane."""
        return Hello(
            self.link.node,
            self.link.incarnation,
            role="node",
            cluster=self.cluster,
            features=FEATURES,
            key=self.key,
            lane=name,
        )

    def on_hello(self, lane: Lane, hello: Hello) -> None:
        """Let a node in that has dialled this one, or refuse it."""
        if self._dial_on(lane) is None:  # else it has answered twice
            self._handshake.greet(lane, hello)

    def on_dialled(self, dial: Dial, lane: Lane, frames: list[Frame]) -> None:
        """Deal with a message of a lane that this node has dialled."""
        link = self.link
        if lane in link.lanes:
            link.inbound.on_message(lane, frames)
            return
        try:
            if len(frames) < 2 or len(frames[1]) > limits.ENVELOPE_BYTES:
                raise BadFrame("not a message of a node")
            for envelope in decode_frame(frames[1]):
                self._on_first(dial, lane, envelope)
        except JobdError as error:
            link.refuse(None, "hello", error, process=dial.node or dial.address)
            dial.failed(error.message, refused=True)

    def _on_first(self, dial: Dial, lane: Lane, envelope: Envelope) -> None:
        """Deal with an envelope of a dialled lane, by its hello and before it. Raises BadFrame."""
        peer = self.link.lanes.get(lane)
        if peer is not None:
            self.link.inbound.on_envelope(peer, lane, envelope)
        elif envelope.kind == Kind.HELLO:
            self._handshake.answered(dial, lane, decode_hello(envelope.body))
        elif envelope.kind == Kind.ERROR and not envelope.corr:
            self.refused(lane, envelope, dial)

    def refused(self, lane: Lane, envelope: Envelope, dial: Dial | None = None) -> None:
        """Take the other end's word that it doesn't want this node, or knows it no more."""
        dial = dial or self._dial_on(lane)
        if dial is not None:
            was_linked = lane in self.link.lanes
            reason = decode_error(envelope.body).message
            self.lose_lane(lane, reason)
            if not was_linked:
                dial.failed(reason, refused=True)

    def stop_dialing(self, dial: Dial) -> None:
        """Dial no more."""
        if dial in self._dials:
            self._dials.remove(dial)
        lanes = (dial.bulk, dial.main)
        dial.close()
        for lane in lanes:
            self.lose_lane(lane, "it is dialled no more")

    def known_dial(self, node: str, but: Dial) -> Dial | None:
        """Return another dial of the same node."""
        return next((dial for dial in self._dials if dial.node == node and dial is not but), None)

    # -- links that come and go

    def came(self, peer: NodePeer) -> None:
        """Have a new neighbour."""
        self.link.greeted(peer)
        told = self._on_guest if peer.is_guest else self._on_up
        if told is not None:
            told(peer.node)

    def lost(self, peer: Peer, reason: str) -> None:
        """Go on without a node: all its lanes are lost."""
        for dial in list(self._dials):
            if dial.main in peer.lanes:
                dial.lost(dial.main, reason)
        if isinstance(peer, NodePeer) and not peer.is_guest and self._on_down is not None:
            self._on_down(peer.node, reason)

    def lose_lane(self, lane: Lane, reason: str) -> None:
        """Go on without a lane; without the last main one, without its node."""
        peer = self.link.lanes.get(lane)
        if not isinstance(peer, NodePeer):
            return
        if peer.is_last_main(lane):
            self.link.lose(peer.node, reason)
            return
        del self.link.lanes[lane]
        self.link.wire_of(lane).drop(lane)
        peer.remove(lane)
        dial = self._dial_on(lane)
        if dial is not None:
            bulk = dial.bulk
            dial.lost(lane, reason)
            if bulk != lane and bulk in self.link.lanes:
                del self.link.lanes[bulk]
                peer.remove(bulk)
        self.link.resume(peer)
        self.link.send_on(peer.lane, self.link.encode(Kind.PING, flags=REPEAT))

    def lose_dialled(self, dial: Dial, lane: Lane, reason: str) -> None:
        """Go on without a lane whose connection has ended, or didn't come about."""
        if lane in self.link.lanes:
            self.lose_lane(lane, reason)
        elif lane == dial.bulk:
            dial.lost(lane, reason)
        elif lane == dial.main:
            dial.failed(reason)

    def _dial_on(self, lane: Lane) -> Dial | None:
        return next((dial for dial in self._dials if lane and lane in (dial.main, dial.bulk)), None)

    def tick(self, now_s: float, *, was_late: bool) -> None:
        """Ping every lane, and part with who is silent or not admitted any more."""
        ping = self.link.encode(Kind.PING)
        for peer in list(self._peers()):
            if not self._handshake.still_admits(peer):
                continue
            for lane, silent_s in peer.silences(now_s):
                if was_late:
                    peer.hear(lane, now_s)
                if not was_late and silent_s > self.silence_s:
                    self.lose_lane(lane, f"silent for {silent_s:.1f} s")
                else:
                    self.link.send_on(lane, ping)

    def close(self) -> None:
        """Part with every node; they hear of it at once."""
        dials, self._dials = self._dials, []
        for dial in dials:
            lanes = (dial.bulk, dial.main)
            if dial.main in self.link.lanes:
                self.link.send_on(dial.main, self.link.encode(Kind.GONE))
            dial.close(at_once=False)
            for lane in lanes:
                self.lose_lane(lane, "the link was closed")


def _row(node: str, address: str, peer: NodePeer | None, error: str) -> LinkRow:
    state = "down" if peer is None else "guest" if peer.is_guest else "up"
    return LinkRow(node, address, state, error, peer.dropped if peer is not None else 0)
