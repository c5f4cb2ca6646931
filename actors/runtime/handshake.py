"""The handshake of a link: who is let in, as whom, and for how long.

Rules:
1. A process is who the node accepted on a lane. Its name is its own choice, but nobody else's as
   long as it, or what is remembered of it, is here: the key of its first hello tells them apart.
2. A process that says hello with its key on another lane goes on there; one that comes with another
   incarnation is a new one.
3. An admission is good until the next heartbeat: a token that was revoked or ran out closes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from actors import limits
from actors.errors import Busy, ConfigError, Conflict, Forbidden, InvalidInput, JobdError
from actors.runtime.envelope import (
    BadFrame,
    Envelope,
    Kind,
    decode_error,
    decode_frame,
    encode_error,
    error_code,
)
from actors.runtime.hello import (
    BULK,
    FEATURES,
    Hello,
    agreed_version,
    decode_hello,
    encode_hello,
)
from actors.runtime.peer import Peer
from actors.runtime.principal import Principal
from actors.runtime.wire import Lane

if TYPE_CHECKING:
    from actors.runtime.link import Link

__all__ = ["Admit", "Handshake", "HelloFirst"]

Admit = Callable[[Hello], Principal]
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class HelloFirst(BadFrame):
    """A lane on which nobody has said hello."""

    code = "hello_first"


class Handshake:
    """The hellos of a link, on either side."""

    def __init__(
        self, link: Link, *, token: str | None, cluster: str, admit: Admit | None, key: bytes
    ) -> None:
        self._link = link
        self._admit = admit
        self._was_broken = False  # the node knew nobody on the main lane
        drawn = link.engine.rng.getrandbits(128).to_bytes(16, "big")
        self._hello = Hello(
            link.node,
            link.incarnation,
            role="client" if token is not None else "child" if link.connects else "node",
            cluster=cluster,
            token=token or "",
            features=FEATURES,
            key=(key or drawn) if link.connects else b"",
        )

    def say_hello(self, lane: Lane, name: str = "") -> None:
        """Say who this process is, on the lane of that name."""
        body = encode_hello(msgspec.structs.replace(self._hello, lane=name))
        self._link.send_on(lane, self._link.encode(Kind.HELLO, body=body))

    def before_hello(self, lane: Lane, batch: bytes) -> None:
        """Deal with what comes on a lane that is nobody's yet. Raises BadFrame."""
        link = self._link
        if len(batch) > limits.HELLO_BYTES and not link.connects:
            self.answer(lane, HelloFirst("it has not said hello"))
            raise BadFrame(f"{len(batch)} bytes before a hello, over {limits.HELLO_BYTES}")
        for envelope in decode_frame(batch):
            peer = link.lanes.get(lane)
            if peer is not None:
                link.inbound.on_envelope(peer, lane, envelope)
            elif envelope.kind == Kind.HELLO:
                self.on_hello(lane, envelope)
            elif not link.connects:
                self.answer(lane, HelloFirst("it has not said hello"))
                raise HelloFirst("it has not said hello")
            elif envelope.kind == Kind.ERROR:
                self.on_refusal(lane, envelope)

    def on_hello(self, lane: Lane, envelope: Envelope) -> None:
        """Let a process in, or refuse it; as one that connects, take the node's answer."""
        hello = decode_hello(envelope.body)
        if self._link.connects:
            self._answered(lane, hello)
            return
        if hello.role == "node" and self._link.mesh is not None:
            self._link.mesh.on_hello(lane, hello)
            return
        try:
            principal = self._check(lane, hello)
        except JobdError as error:
            self._link.refuse(None, "hello", error, process=hello.node[:64])
            self.answer(lane, error)
        else:
            self.say_hello(lane, hello.lane)
            self._link.callers.said_hello(self._link.origin(lane))
            self._accept(lane, hello, principal)

    # -- as the node

    def _check(self, lane: Lane, hello: Hello) -> Principal | None:
        """Return who it is; None for one that is trusted. Raises the refusal."""
        link = self._link
        agreed_version(hello)
        if hello.cluster and hello.cluster != self._hello.cluster:
            raise ConfigError(f"{link.node} is of another cluster than {hello.cluster[:64]}")
        owner, known = link.lanes.get(lane), link.peers.get(hello.node)
        if owner is not None and owner.node != hello.node:
            raise Forbidden(f"this connection is {owner.node}'s")
        if hello.lane and not (known is not None and _is_same(known, hello)):
            raise HelloFirst("a lane without its main one")
        if self._admit is None:
            return None
        if link.keys is not None:
            link.keys.check(link.origin(lane).key, "client")
        if not _NAME.fullmatch(hello.node) or hello.node == link.node:
            raise InvalidInput(f"{hello.node[:64]!r} is no name for a client")
        last = link.last_hello(hello.node)
        if last is not None and last.key != hello.key:
            raise Conflict(f"{hello.node} is another process's name")
        if known is None and len(link.peers) >= limits.CLIENTS:
            raise Busy(f"{limits.CLIENTS} clients")
        return self._admit(hello)

    def _accept(self, lane: Lane, hello: Hello, principal: Principal | None) -> None:
        link = self._link
        known = link.peers.get(hello.node)
        if known is None or not _is_same(known, hello):
            if known is not None:
                link.lose(hello.node, "it was restarted")
            origin = link.origin(lane)
            peer = Peer(link, hello, lane=lane, principal=principal)
            peer.origin = origin
            link.greeted(peer)
            return
        known.heard_s = link.engine.clock.monotonic_s()
        before = known.bulk if hello.lane else known.lane
        if before == lane:
            return
        if hello.lane:
            known.bulk = lane
        else:
            known.lane = lane
        link.lanes[lane] = known
        if before is not None:
            del link.lanes[before]
            link.wire_of(before).drop(before)
            link.resume(known)

    def still_admits(self, peer: Peer) -> bool:
        """Say whether a neighbour may stay; one that may not is told, and lost."""
        if self._admit is None or peer.principal is None:
            return True
        try:
            if self._link.keys is not None:
                self._link.keys.check(peer.origin.key, "client")
            principal = self._admit(peer.hello)
        except JobdError as error:
            self._link.refuse(peer, "to stay", error)
            self._link.lose(peer.node, error.message)
            self.answer(peer.lane, error)
            return False
        if principal != peer.principal:
            peer.principal, peer.stamp = principal, None
        return True

    def answer(self, lane: Lane, error: JobdError) -> None:
        """Send the refusal of a lane."""
        part = self._link.encode(Kind.ERROR, body=encode_error(error))
        self._link.send_on(lane, part)

    # -- as who connects

    def _answered(self, lane: Lane, hello: Hello) -> None:
        """Have a node, again, or a new incarnation of it."""
        link = self._link
        node = link.peers.get(hello.node)
        if hello.lane:
            if node is not None:
                node.bulk = lane
                link.lanes[lane] = node
        elif node is not None and node.incarnation == hello.incarnation:
            if self._was_broken:
                self._was_broken = False
                link.resume(node)
        else:
            for known in set(link.lanes.values()):
                link.lose(known.node, "it was restarted")
            link.greeted(Peer(link, hello, lane=lane, principal=link.principal))
            self.say_hello(link.bulk_lane, BULK)

    def on_refusal(self, lane: Lane, envelope: Envelope) -> None:
        """Say hello again where the node knows nobody; else it wants no such process."""
        link = self._link
        is_bulk = lane == link.bulk_lane
        if error_code(envelope.body) == HelloFirst.code:
            if is_bulk:
                link.lose_lane(lane, "its connection was broken")
            else:
                self._was_broken = True
            self.say_hello(lane, BULK if is_bulk else "")
        elif not is_bulk:
            error = link.refusal = decode_error(envelope.body)
            link.ready.fail(error)
            for known in set(link.lanes.values()):
                link.lose(known.node, error.message)


def _is_same(known: Peer, hello: Hello) -> bool:
    return (known.incarnation, known.hello.key) == (hello.incarnation, hello.key)
