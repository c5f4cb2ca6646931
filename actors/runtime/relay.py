"""The relay of a node: what one client sends to another goes through it.

Rules:
1. A batch is forwarded as it is. The node reads its header and puts another in front, with who sent
   it as the node knows that process; the cost is that of a batch, however many envelopes it has.
2. Clients reach clients. The node's children can't be reached this way.
3. Who has been in contact with a process is told when it is lost, and when it is back on another
   connection, since what was on its way then may be lost.
4. A process that doesn't read delays nobody: questions for it are refused with Busy. The rest that
   is dropped (tells stay lost) is made up for once it reads again, as after a broken connection:
   both sides repeat what they wait for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from actors import limits
from actors.errors import ActorUnavailable, Busy, DeadLetter, Forbidden, JobdError
from actors.runtime.envelope import VERSION, BadFrame, Envelope, Kind, decode_frame, encode_error
from actors.runtime.header import Header, encode_header
from actors.runtime.wire import Frame, Lane

if TYPE_CHECKING:
    from actors.runtime.link import Link
    from actors.runtime.peer import Peer

__all__ = ["Relay"]

_MAY_RETURN_S: Final = 2 * limits.PEER_TIMEOUT_S
_ENCODER: Final = msgspec.msgpack.Encoder()


class Relay:
    """The way between the clients of a link."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lost_s: dict[str, float] = {}  # when, of those without a good-bye
        self._dropped: dict[str, set[str]] = {}  # whose messages, by whom they were for

    def forward(self, source: Peer, lane: Lane, header: Header, frames: list[Frame]) -> None:
        """Send a message on to the process that it is for. Raises BadFrame, Forbidden."""
        link = self._link
        if source.principal is None:
            raise Forbidden("only clients are relayed")
        if len(frames[1]) > limits.ENVELOPE_BYTES:
            raise BadFrame(f"a batch of {len(frames[1])} bytes, over {limits.ENVELOPE_BYTES}")
        target = link.peers.get(header.to)
        if target is None or target.principal is None:
            self._tell_gone(source, header.to[:64], self._absence(header.to))
            return
        source.contacts[target.node] = target.contacts[source.node] = None
        is_bulk = lane == source.bulk and target.bulk is not None
        to = target.bulk if is_bulk and target.bulk is not None else target.lane
        wire = link.wire_of(to)
        if wire.is_congested(to):
            self._refuse(source, target, frames[1])
        else:
            wire.send_message(to, [_stamp(source), *frames[1:]])

    def lost(self, peer: Peer, error: JobdError, *, ended: bool) -> None:
        """Tell who was in contact with a process that it is lost."""
        if peer.principal is not None and not ended:
            self._lost_s[peer.node] = self._link.engine.clock.monotonic_s()
            while len(self._lost_s) > limits.CLIENTS:
                del self._lost_s[next(iter(self._lost_s))]
        for process in peer.contacts:
            other = self._link.peers.get(process)
            if other is not None:
                other.contacts.pop(peer.node, None)
                self._tell_gone(other, peer.node, error)

    def _absence(self, process: str) -> JobdError:
        """Say why there is no such process: it may come back, or it is not here at all."""
        lost_s = self._lost_s.get(process)
        now_s = self._link.engine.clock.monotonic_s()
        if lost_s is None or now_s - lost_s > _MAY_RETURN_S:
            return DeadLetter(f"there is no process {process[:64]}")
        return ActorUnavailable(f"{process} is lost", maybe_executed=False)

    def resumed(self, peer: Peer) -> None:
        """Tell who was in contact with a process that it has another connection."""
        for process in peer.contacts:
            self._send_as(peer, self._link.peers[process], Kind.HELLO)

    def make_up(self) -> None:
        """Have processes that read again, and those who sent to them, repeat what they wait for."""
        link = self._link
        for process, sources in list(self._dropped.items()):
            target = link.peers.get(process)
            if target is not None:
                lanes = (target.lane, target.bulk or target.lane)
                if any(link.wire_of(lane).is_congested(lane) for lane in lanes):
                    continue
                for source in sources & link.peers.keys():
                    self._send_as(link.peers[source], target, Kind.HELLO)
                    self._send_as(target, link.peers[source], Kind.HELLO)
            del self._dropped[process]

    def _tell_gone(self, peer: Peer, process: str, error: JobdError) -> None:
        peer.send(self._link.encode(Kind.GONE, dst=process, body=encode_error(error)))

    def _refuse(self, source: Peer, target: Peer, batch: bytes) -> None:
        """Answer each question of a batch; only here it is decoded. Raises BadFrame."""
        busy = Busy(f"{target.node} doesn't read what it is sent")
        error = encode_error(busy)
        for envelope in decode_frame(batch):
            if envelope.kind == Kind.ASK:
                self._send_as(target, source, Kind.ERROR, corr=envelope.corr, body=error)
            else:
                self._dropped.setdefault(target.node, set()).add(source.node)
        self._link.refuse(source, "a relayed message", busy)

    def _send_as(self, peer: Peer, to: Peer, kind: Kind, **fields: object) -> None:
        """Send an envelope in the name of a process."""
        envelope = Envelope(VERSION, int(kind), incarnation=peer.incarnation, **fields)  # type: ignore[arg-type]
        self._link.wire_of(to.lane).send(to.lane, _stamp(peer), _ENCODER.encode(envelope))


def _stamp(peer: Peer) -> bytes:
    """Return the header that says whose a batch is."""
    if peer.stamp is None:
        assert peer.principal is not None, "only clients are relayed"
        name, scopes = peer.principal
        stamp = Header(VERSION, "", peer.node, name, tuple(sorted(scopes)), peer.incarnation)
        peer.stamp = encode_header(stamp)
    return peer.stamp
