"""The receiving side of a link: whose a message is, and what is done with each kind of envelope.

Each handler raises what it refuses; what that means is said in one place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from actors import limits
from actors.errors import ActorUnavailable, Busy, DeadLetter, Forbidden, JobdError
from actors.model.trace import is_traceparent
from actors.runtime.effects import ReplyTo
from actors.runtime.envelope import REPEAT, BadFrame, Envelope, Kind, decode_error, decode_frame
from actors.runtime.header import Header, decode_header
from actors.runtime.hello import Hello
from actors.runtime.letter import Letter, RemoteLetter
from actors.runtime.outlet import Outlet
from actors.runtime.peer import Peer
from actors.runtime.principal import Principal
from actors.runtime.remote_reply import RemoteReply, RemoteSink
from actors.runtime.signals import Terminated
from actors.runtime.values import Blob
from actors.runtime.wire import Frame, Lane

if TYPE_CHECKING:
    from actors.runtime.link import Link

__all__ = ["GUEST_ADDRESSES", "Inbound"]

_TERMINATED: Final = Terminated.__name__
_ASK: Final = int(Kind.ASK)
_ERROR: Final = int(Kind.ERROR)
_WATCH_SCOPE: Final = "read"
# What a node may ask that is of no cluster yet, and what it may be asked in turn.
GUEST_ADDRESSES: Final = frozenset({"/formation", "/join"})
Blobs = tuple[Blob, ...]


def _on_letter(link: Link, peer: Peer, envelope: Envelope, blobs: Blobs) -> None:
    """Deliver a tell or an ask to an actor of this process."""
    source = envelope.src or peer.prefix
    if not source.startswith(peer.prefix):
        raise BadFrame(f"{source[:128]} is not of {peer.node}")
    if envelope.type == _TERMINATED:
        _on_terminated(link, peer, envelope)
        return
    if peer.principal is not None:
        _check_scope(peer, envelope.type, link.vocabulary.scope_of(envelope.type))
    if peer.is_guest:
        _check_guest(peer, link.local(envelope.dst))
    message = link.vocabulary.decode(envelope.type, envelope.body, blobs)
    reply: ReplyTo | None = None
    if envelope.kind == _ASK:
        if not _is_new(link, peer, envelope):
            return
        reply = _reply_to(link, peer, envelope)
    letter = RemoteLetter(
        message,
        reply,
        source,
        link.engine.now_ms() + envelope.deadline_ms if envelope.deadline_ms > 0 else 0,
        envelope.trace if envelope.trace and is_traceparent(envelope.trace) else None,
    )
    letter.principal = peer.principal
    address = link.local(envelope.dst)
    cells = link.engine.cells
    # A client starts no entity: it may only talk to who is there.
    is_here = envelope.dst.startswith(link.prefix)
    if is_here and (peer.principal is None or address in cells):
        link.engine.deliver(address, letter)
        if isinstance(reply, Outlet):
            reply.bind(cells.get(address))
    elif is_here:
        there = envelope.dst[:128]
        link.engine.refuse(there, letter, link.engine.nobody_at(there))
    else:
        elsewhere = DeadLetter(f"{envelope.dst[:128]} is not at {link.node}")
        link.engine.refuse(envelope.dst[:128], letter, elsewhere)


def _check_scope(peer: Peer, what: str, scope: str | None) -> None:
    """Refuse what a client may not send. Raises Forbidden."""
    principal = peer.principal
    if principal is not None and (scope is None or (scope and not principal.may(scope))):
        needs = f"needs the scope {scope}" if scope else "is not open to clients"
        raise Forbidden(f"{what[:64] or 'a plain value'} {needs}")


def _check_guest(peer: Peer, address: str) -> None:
    """Refuse what a node may not ask that is of no cluster, or of one that this is not of yet."""
    if address not in GUEST_ADDRESSES:
        raise Forbidden(f"{peer.node} is no member: {address[:128]} is not for guests")


def _is_new(link: Link, peer: Peer, envelope: Envelope) -> bool:
    """Say whether a question is to be asked; a repeated one gets the answer that it was given."""
    seen = peer.window.admit(envelope.corr)
    if isinstance(seen, bytes):
        peer.send(seen)
    elif seen == "expired":
        expired = ActorUnavailable("its answer is forgotten", maybe_executed=True)
        link.answer_error(peer, envelope, expired)
    return seen == "new"


def _reply_to(link: Link, peer: Peer, envelope: Envelope) -> ReplyTo:
    if envelope.items <= 0:
        return RemoteReply(peer, envelope)
    if len(peer.outlets) >= limits.STREAMS_PER_PEER:
        raise Busy(f"{limits.STREAMS_PER_PEER} streams to {peer.node}")
    outlet = Outlet(link.engine, RemoteSink(peer, envelope), envelope.items, envelope.size)
    peer.outlets[envelope.corr] = outlet
    return outlet


def _on_terminated(link: Link, peer: Peer, envelope: Envelope) -> None:
    message: Terminated = link.vocabulary.decode(envelope.type, envelope.body)
    if not message.address.startswith(peer.prefix):
        raise BadFrame(f"{message.address[:128]} is not of {peer.node}")
    peer.terminated(message, link.local(envelope.dst))


def _on_reply(link: Link, peer: Peer, envelope: Envelope, blobs: Blobs) -> None:
    reply = peer.answered(envelope)
    if reply is None:
        _on_stream(link, peer, envelope, blobs)
        return
    try:
        reply.set(link.vocabulary.decode(envelope.type, envelope.body, blobs))
    except BadFrame as error:
        reply.fail(error)
        raise


def _on_error(link: Link, peer: Peer, envelope: Envelope, blobs: Blobs) -> None:
    reply = peer.answered(envelope)
    if reply is None:
        _on_stream(link, peer, envelope, blobs)
    else:
        reply.fail(decode_error(envelope.body))


def _on_stream(link: Link, peer: Peer, envelope: Envelope, blobs: Blobs) -> None:
    """Pass on an item or the end of a stream; its last items may come behind its end."""
    stream = peer.stream(envelope.corr)
    if stream is None:
        return  # its reader, or the asker of a question, has given up
    try:
        if envelope.kind == Kind.ERROR:
            stream.end(envelope.items, None, decode_error(envelope.body))
        else:
            value = link.vocabulary.decode(envelope.type, envelope.body, blobs)
            if envelope.kind == Kind.REPLY:
                stream.end(envelope.items, value, None)
            else:
                size = len(memoryview(envelope.body)) + sum(map(len, blobs))
                stream.item(envelope.items, value, size)
    except BadFrame as error:
        stream.upstream.cancel()
        stream.end(0, None, error)
        raise
    finally:
        if stream.is_over:
            peer.forget_stream(envelope.corr)


def _on_credit(link: Link, peer: Peer, envelope: Envelope, blobs: Blobs) -> None:
    if envelope.items < 0 or envelope.size < 0:
        raise BadFrame("credit below zero")
    outlet = peer.outlets.get(envelope.corr)
    if outlet is not None:
        outlet.grant(envelope.items, envelope.size)


def _on_cancel(link: Link, peer: Peer, envelope: Envelope, blobs: Blobs) -> None:
    outlet = peer.outlets.pop(envelope.corr, None)
    if outlet is not None:
        peer.window.answered(envelope.corr, None)
        outlet.cancel()


def _on_watch(link: Link, peer: Peer, envelope: Envelope, blobs: Blobs) -> None:
    watcher, address = envelope.src, link.local(envelope.dst)
    if not watcher.startswith(peer.prefix):
        raise BadFrame(f"{watcher[:128]} is not of {peer.node}")
    try:
        _check_scope(peer, "a watch", _WATCH_SCOPE)
        if peer.is_guest:
            _check_guest(peer, address)
        if len(peer.watched) >= limits.WATCHES_PER_PEER and (watcher, address) not in peer.watched:
            raise Busy(f"{limits.WATCHES_PER_PEER} watches of {peer.node}")
    except JobdError as error:  # else the watcher would wait for ever
        refused = Terminated(envelope.dst, f"not watched: {error.message}")
        peer.carry(watcher, Letter(refused, None, address))
        raise
    cell = link.engine.cells.get(address)
    if cell is None:
        peer.carry(watcher, Letter(Terminated(envelope.dst, "unknown"), None, address))
        return
    if cell.watchers is None:
        cell.watchers = {}
    cell.watchers[watcher] = None
    peer.watched[watcher, address] = None


def _on_ping(link: Link, peer: Peer, envelope: Envelope, blobs: Blobs) -> None:
    """Do nothing: that it was heard is all, unless something was lost with a connection."""
    if envelope.flags & REPEAT and peer.is_node:
        link.resume(peer)


def _on_gone(link: Link, peer: Peer, envelope: Envelope, blobs: Blobs) -> None:
    """Count a process as lost: the sender itself, or one behind the node."""
    if not envelope.dst:
        link.lose(peer.node, "it has ended its link", ended=True)
        return
    behind = link.peers.get(envelope.dst)
    if not link.connects or peer.via is not None or peer.principal is not None:
        raise BadFrame("only its node knows of other processes")
    if behind is not None and behind.via is peer:
        error = decode_error(envelope.body)
        link.lose(behind.node, error.message, error)


_HANDLERS: Final[dict[int, Callable[[Link, Peer, Envelope, Blobs], None]]] = {
    int(Kind.ASK): _on_letter,
    int(Kind.CANCEL): _on_cancel,
    int(Kind.CREDIT): _on_credit,
    int(Kind.ERROR): _on_error,
    int(Kind.GONE): _on_gone,
    int(Kind.ITEM): _on_stream,
    int(Kind.PING): _on_ping,
    int(Kind.REPLY): _on_reply,
    int(Kind.TELL): _on_letter,
    int(Kind.WATCH): _on_watch,
}


class Inbound:
    """The receiving side of a link."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def on_message(self, lane: Lane, frames: list[Frame]) -> None:
        """Deal with a message of a lane: relay it, or hand its envelopes to their handlers."""
        link = self._link
        neighbour = link.lanes.get(lane)
        try:
            if not 2 <= len(frames) <= 2 + limits.BLOBS_PER_MESSAGE:
                raise BadFrame(f"{len(frames)} frames in a message")
            header = decode_header(frames[0])
            if neighbour is None:
                link.handshake.before_hello(lane, frames[1])
                return
            neighbour.hear(lane, link.engine.clock.monotonic_s())
            if header.to and header.to != link.node:
                link.relay.forward(neighbour, lane, header, frames)
                return
            peer = self._sender(neighbour, header)
            envelopes = decode_frame(frames[1])
        except JobdError as error:
            link.refuse(neighbour, "a message", error)
            return
        blobs = tuple(frames[2:])
        for envelope in envelopes:
            self.on_envelope(peer, lane, envelope, blobs)

    def on_envelope(
        self, peer: Peer, lane: Lane, envelope: Envelope, blobs: tuple[Blob, ...] = ()
    ) -> None:
        """Deal with an envelope of a peer; what is wrong with it is counted and answered."""
        link = self._link
        try:
            handler = _HANDLERS.get(envelope.kind)
            if handler is None or (envelope.kind == _ERROR and not envelope.corr):
                self._on_other(peer, lane, envelope)
            elif envelope.incarnation == peer.incarnation:
                handler(link, peer, envelope, blobs)
            else:
                raise BadFrame(f"incarnation {envelope.incarnation}, not {peer.incarnation}")
        except JobdError as error:
            link.refuse(peer, envelope.type or "an envelope", error)
            if envelope.kind == Kind.ASK:
                link.answer_error(peer, envelope, error)

    def _on_other(self, peer: Peer, lane: Lane, envelope: Envelope) -> None:
        """Deal with what is about the link itself. Raises BadFrame."""
        link = self._link
        if envelope.kind == Kind.HELLO:
            if peer.via is None:
                link.handshake.on_hello(lane, envelope)
            else:
                peer.resume()  # it has its link again
        elif envelope.kind != _ERROR:
            raise BadFrame(f"unknown kind {envelope.kind}")
        elif link.connects and peer.via is None:
            link.handshake.on_refusal(lane, envelope)
        elif link.mesh is not None and peer.is_node:
            link.mesh.refused(lane, envelope)

    def _sender(self, neighbour: Peer, header: Header) -> Peer:
        """Return whose batch it is. Raises BadFrame."""
        link = self._link
        if not link.connects:
            if header.source not in ("", neighbour.node):
                raise BadFrame(f"{neighbour.node} is not {header.source[:64]!r}")
            return neighbour
        if not header.source:
            return neighbour
        if neighbour.principal is not None:
            raise BadFrame(f"{neighbour.node} is no node")
        peer = link.peers.get(header.source)
        if peer is not None and peer.via is not neighbour:
            raise BadFrame(f"{header.source[:64]!r} is not behind {neighbour.node}")
        if peer is not None and peer.incarnation not in (0, header.incarnation):
            link.lose(header.source, "it was restarted")
            peer = None
        if peer is None:
            peer = link.behind_node(Hello(header.source, header.incarnation), neighbour)
        peer.incarnation = header.incarnation
        peer.principal = Principal(header.principal, frozenset(header.scopes))
        return peer
