"""A link: how the actors of a process reach those of others, over ZeroMQ.

A node binds a ROUTER: over ipc in its private directory for its children, which it trusts, and over
tcp for clients, which it admits. Who connects has one neighbour, the node. Rules:
1. The first envelope of each side on each lane is a HELLO; before it nothing is answered but the
   refusal. Who a lane belongs to is what the node accepted there, whatever an envelope says.
2. Both sides ping each second from the loop itself, so that a wedged process counts as silent
   (ZMTP's own heartbeats are answered by an I/O thread). Silent for PEER_TIMEOUT_S is lost: asks
   fail with ActorUnavailable(maybe_executed=True), streams end, watchers get `Terminated`.
3. A process whose own tick came late starts its timers anew before it calls anyone silent.
4. After a broken connection the asks without an answer are sent again; the receiver's de-dup
   window makes that effectively once. Streams are not: they end.
5. What a peer sends is checked: version, incarnation, sender, size, type, and what its principal
   may do. What fails is counted in `refused` and reported; an ask is answered with the error.
6. Messages with blobs take a second connection, the bulk lane, once it is there, so that they don't
   delay the rest. Between the lanes there is no order; streams number their items.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import zmq

from actors import limits
from actors.errors import ActorUnavailable, DeadLetter, JobdError
from actors.runtime.address import SCHEME, node_of
from actors.runtime.callers import Callers
from actors.runtime.cell import TimerHandle
from actors.runtime.curve import Curve
from actors.runtime.dedup import DedupWindow
from actors.runtime.engine import Engine
from actors.runtime.envelope import VERSION, Envelope, Kind, encode_error, frame_of
from actors.runtime.future import LoopFuture
from actors.runtime.handshake import Admit, Handshake
from actors.runtime.header import DIRECT
from actors.runtime.hello import Hello
from actors.runtime.inbound import Inbound
from actors.runtime.keys import Keys
from actors.runtime.letter import Letter
from actors.runtime.origin import Origin
from actors.runtime.peer import Peer
from actors.runtime.principal import Principal
from actors.runtime.relay import Relay
from actors.runtime.signals import Terminated
from actors.runtime.values import Blob
from actors.runtime.vocabulary import Vocabulary
from actors.runtime.wire import Frame, Lane, Wire
from actors.runtime.zap import Zap

if TYPE_CHECKING:
    from actors.runtime.mesh import Mesh

__all__ = ["Link", "Refusal"]

_ENCODER: Final = msgspec.msgpack.Encoder()
_NODE: Final[Lane] = b"node"  # the lanes of who connects
_BULK: Final[Lane] = b"bulk"
_FAREWELL_S: Final = 0.05
_WINDOWS_KEPT: Final = 64  # of processes without a link


class Refusal(NamedTuple):
    """What was refused to whom, for the audit log: the name of a message type, or "hello"."""

    process: str
    principal: str
    what: str
    error: JobdError


class Link:
    """A process's socket with its peers. `ready` has the node's id once the node said hello.

    `node`, `incarnation`: who this process is; a client draws a name of its own for each run.
    `child`: connect to a node that trusts this process. `token`: connect as a client with it, which
    may be empty. Else bind, and admit with `admit(hello) -> Principal`, again at each heartbeat;
    without it everyone is trusted. `on_refused` is told each refusal. `on_node(id)` is called when
    the node is there, again after it was lost. `principal`: whom it connects to if that is no node
    but a client like itself, which speaks for nobody else. `key`: what proves its name, if it links
    up more than once; else one is drawn. Without `calls_back` it is for the calls of who links up;
    what this process wants of them takes another way. `keys`: those of a link that is
    encrypted. Make it on the loop.

    Raises ConfigError when the endpoint can't be bound.
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
        token: str | None = None,
        cluster: str = "",
        admit: Admit | None = None,
        on_refused: Callable[[Refusal], object] | None = None,
        on_node: Callable[[str], object] | None = None,
        principal: Principal | None = None,
        key: bytes = b"",
        calls_back: bool = True,
        keys: Keys | None = None,
    ) -> None:
        self.engine = engine
        self.keys = keys
        self.vocabulary = vocabulary
        self.peers: dict[str, Peer] = {}  # by process
        self.lanes: dict[Lane, Peer] = {}
        self.refused = 0
        self.refusal: JobdError | None = None  # why the node wants no such process
        self.ready: LoopFuture[str] = LoopFuture()
        self.numbers = count(1)  # of questions: never used twice in an incarnation
        self.node = node
        self.incarnation = incarnation
        self.connects = child or token is not None
        self.prefix = f"{SCHEME}{node}/"
        self._windows: OrderedDict[str, tuple[Hello, DedupWindow]] = OrderedDict()
        self._on_refused = on_refused
        self._on_node = on_node
        self.principal = principal
        self._calls_back = calls_back
        self._last_tick_s = engine.clock.monotonic_s()
        self.handshake = Handshake(self, token=token, cluster=cluster, admit=admit, key=key)
        self.relay = Relay(self)
        self.inbound = Inbound(self)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
        self._zap = Zap(self._context, keys.allow) if keys and not self.connects else None
        self.callers = Callers(engine.clock.monotonic_s)
        self._wire = self._open(endpoint, _NODE if self.connects else None)
        self._bulk = self._open(endpoint, _BULK) if self.connects else self._wire
        self._wires: dict[Lane, Wire] = {_BULK: self._bulk}  # of lanes with a socket of their own
        self.mesh: Mesh | None = None  # of a node, its links with the others
        self.endpoint = self._wire.endpoint
        if token is not None and principal is None:
            engine.default_route = self
        self._timer: TimerHandle = engine.call_later(0, self._tick)

    def _open(self, endpoint: str, lane: Lane | None) -> Wire:
        try:
            return Wire(
                self._context,
                endpoint,
                lane=lane,
                on_message=self.inbound.on_message,
                on_lost=lambda lane: self.lose_lane(lane, "its connection is gone"),
                curve=self.keys.own if self.keys is not None else None,
                known=self.lanes,
                callers=self.callers if endpoint.startswith("tcp:") else None,
            )
        except JobdError:
            if self._zap is not None:
                self._zap.close()
            self._context.term()
            raise

    # -- who is here

    def absolute(self, address: str) -> str:
        """Return the address by which other processes know an actor of this one."""
        return f"{SCHEME}{self.node}{address}" if address.startswith("/") else address

    def local(self, address: str) -> str:
        """Return the address by which this process knows an actor of its own."""
        if address not in self.engine.cells and address.startswith(self.prefix):
            bare = address[len(self.prefix) - 1 :]
            if bare in self.engine.cells:
                return bare
        return address

    def window_of(self, hello: Hello) -> DedupWindow:
        """Return a process's de-dup window, which outlives its connections, not its incarnation."""
        known = self._windows.get(hello.node)
        if known is None or known[0].incarnation != hello.incarnation:
            known = (hello, DedupWindow())
        self._windows[hello.node] = known
        self._windows.move_to_end(hello.node)
        if len(self._windows) > len(self.peers) + _WINDOWS_KEPT:
            gone = next((name for name in self._windows if name not in self.peers), "")
            self._windows.pop(gone, None)
        return known[1]

    def last_hello(self, process: str) -> Hello | None:
        """Return what a process said that is linked, or was not long ago."""
        known = self._windows.get(process)
        return known[0] if known is not None else None

    def greeted(self, peer: Peer) -> None:
        """Have a new neighbour."""
        self.peers[peer.node] = self.lanes[peer.lane] = peer
        if self._calls_back:
            self.engine.routes[peer.node] = peer
        if self.connects:
            self.ready.set(peer.node)
            if self._on_node is not None:
                self._on_node(peer.node)

    # -- from here to there

    def carry(self, address: str, letter: Letter) -> None:
        """Send a letter to a process behind the node (the engine's default route)."""
        peer = self._behind(address)
        if isinstance(peer, Peer):
            peer.carry(address, letter)
        else:
            self.engine.refuse(address, letter, peer)

    def watch(self, address: str, watcher: str) -> None:
        """Watch an address behind the node."""
        peer = self._behind(address)
        if isinstance(peer, Peer):
            peer.watch(address, watcher)
        else:
            cell = self.engine.cells[watcher]
            self.engine.put(cell, Terminated(address, "unknown"), address)

    def _behind(self, address: str) -> Peer | JobdError:
        process = node_of(address)
        if process == self.node:
            return DeadLetter(f"no actor at {address}")
        node = self.lanes.get(_NODE)
        if node is None:
            return self.refusal or ActorUnavailable(
                "this process has no link to its node", maybe_executed=False
            )
        peer = self.peers.get(process)
        if peer is None:
            peer = self.behind_node(Hello(process, 0), node)
        return peer

    def behind_node(self, hello: Hello, node: Peer) -> Peer:
        """Have a new peer whose way is through the node."""
        peer = self.peers[hello.node] = Peer(self, hello, via=node)
        self.engine.routes.setdefault(hello.node, peer)  # a link of its own goes before
        return peer

    def encode(self, kind: Kind, **fields: Any) -> bytes:
        """Return an encoded envelope of this process."""
        return _ENCODER.encode(Envelope(VERSION, int(kind), incarnation=self.incarnation, **fields))

    def send(self, peer: Peer, part: bytes, blobs: tuple[Blob, ...] = ()) -> None:
        """Send an encoded envelope to a peer."""
        hop = peer.via or peer
        if not blobs:
            self.wire_of(hop.lane).send(hop.lane, peer.header, part)
            return
        lane = hop.bulk or hop.lane
        self.wire_of(lane).send_message(lane, [peer.header, frame_of([part]), *blobs])

    def send_on(self, lane: Lane, part: bytes) -> None:
        """Send an encoded envelope on a lane, whoever is there."""
        self.wire_of(lane).send(lane, DIRECT, part)

    @property
    def bulk_lane(self) -> Lane:
        """The second lane of who connects."""
        return _BULK

    def wire_of(self, lane: Lane) -> Wire:
        """Return the socket of a lane."""
        return self._wires.get(lane, self._wire)

    def open_wire(
        self,
        endpoint: str,
        lane: Lane,
        *,
        curve: Curve | None,
        on_message: Callable[[Lane, list[Frame]], None],
        on_end: Callable[[str], None],
    ) -> Wire:
        """Connect a lane with a socket of its own, once."""
        wire = self._wires[lane] = Wire(
            self._context,
            endpoint,
            lane=lane,
            on_message=on_message,
            on_lost=lambda lane: on_end("it takes nothing"),
            on_end=on_end,
            curve=curve,
        )
        return wire

    def forget_wire(self, lane: Lane) -> None:
        """Have the socket of a lane no more."""
        self._wires.pop(lane, None)

    def origin(self, lane: Lane) -> Origin:
        """Return where a lane comes from, also one whose first message is being handed over."""
        peer = self.lanes.get(lane)
        return peer.origin if peer is not None else self.wire_of(lane).origin

    # -- liveness

    def _tick(self) -> None:
        self._timer = self.engine.call_later(limits.HEARTBEAT_S, self._tick)
        now_s = self.engine.clock.monotonic_s()
        was_late = now_s - self._last_tick_s > 2 * limits.HEARTBEAT_S
        self._last_tick_s = now_s
        self.callers.tick()
        if self.mesh is not None:
            self.mesh.tick(now_s, was_late=was_late)
        for peer in {each for each in self.lanes.values() if not each.is_node}:
            if was_late:
                peer.heard_s = now_s
            silent_s = now_s - peer.heard_s
            if silent_s > limits.PEER_TIMEOUT_S:
                self.lose(peer.node, f"silent for {silent_s:.1f} s")
            elif self.handshake.still_admits(peer):
                ping = self.encode(Kind.PING)
                self.send_on(peer.lane, ping)
                if self.connects and peer.bulk is not None:
                    self.send_on(peer.bulk, ping)  # a lane that broke is told so
        if self.connects and not self.lanes and self.refusal is None:
            self._wire.drop(_NODE)  # earlier hellos
            self.handshake.say_hello(_NODE)
        self.relay.make_up()

    def lose(
        self, process: str, reason: str, error: JobdError | None = None, *, ended: bool = False
    ) -> None:
        """Count a process as lost: it is silent, or known to have ended, and won't come back."""
        peer = self.peers.pop(process, None)
        if peer is None:
            return
        for lane in peer.lanes:
            self.lanes.pop(lane, None)
            self.wire_of(lane).drop(lane)
        if self.engine.routes.get(process) is peer:
            del self.engine.routes[process]
        unavailable = ActorUnavailable(f"{process}: {reason}", maybe_executed=True)
        peer.lost(error or unavailable)
        self.relay.lost(peer, unavailable, ended=ended)
        for behind in [each for each in self.peers.values() if each.via is peer]:
            self.lose(behind.node, f"its node is lost: {reason}")
        if self.mesh is not None and peer.is_node:
            self.mesh.lost(peer, reason)

    def lose_lane(self, lane: Lane, reason: str) -> None:
        """Count whose main lane it was as lost; of a bulk lane only that lane."""
        peer = self.lanes.get(lane)
        if peer is None:
            return
        if self.mesh is not None and peer.is_node:
            self.mesh.lose_lane(lane, reason)
        elif lane == peer.bulk:
            del self.lanes[lane]
            peer.bulk = None
            self.resume(peer)
        else:
            self.lose(peer.node, reason)

    def resume(self, peer: Peer) -> None:
        """Go on after a broken connection with a neighbour, also with whom it leads to."""
        for each in [each for each in self.peers.values() if peer in (each, each.via)]:
            each.resume()
        self.relay.resumed(peer)

    def close(self) -> None:
        """Part with every peer; they hear of it at once."""
        self._timer.cancel()
        if self.engine.default_route in (self, self.mesh):
            self.engine.default_route = None
        if self.mesh is not None:
            self.mesh.close()
        lanes = [peer.lane for peer in set(self.lanes.values())]
        for process in list(self.peers):
            self.lose(process, "the link was closed")
        for lane in lanes:
            self.send_on(lane, self.encode(Kind.GONE))
        if lanes and not self.connects:
            self._wire.flush()
            time.sleep(_FAREWELL_S)  # who connects drops what it has not read by the end
        for wire in {self._wire, self._bulk}:
            wire.close()
        if self._zap is not None:
            self._zap.close()
        self._context.term()

    # -- what goes wrong

    def answer_error(self, peer: Peer, asked: Envelope, error: BaseException) -> None:
        """Answer a question with an error."""
        body = encode_error(error)
        peer.send(self.encode(Kind.ERROR, corr=asked.corr, dst=asked.src, src=asked.dst, body=body))

    def refuse(self, peer: Peer | None, what: str, error: JobdError, process: str = "") -> None:
        """Count and report a refusal."""
        self.refused += 1
        if self._on_refused is not None:
            principal = peer.principal.name if peer is not None and peer.principal else ""
            name = peer.node if peer is not None else process
            self._on_refused(Refusal(name, principal, what[:64], error))
