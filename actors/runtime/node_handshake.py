"""The handshake between two nodes: who is let in by whom; see the rules of the mesh."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from actors.errors import ConfigError, Conflict, Forbidden, JobdError
from actors.runtime.dial import Dial
from actors.runtime.handshake import HelloFirst
from actors.runtime.hello import Hello, agreed_version
from actors.runtime.node_peer import NodePeer
from actors.runtime.origin import Origin
from actors.runtime.wire import Lane

if TYPE_CHECKING:
    from actors.runtime.mesh import Mesh

__all__ = ["NodeAdmit", "NodeHandshake", "Vouch"]

# Raises what a node is refused with that says this, its key proved by its connection.
NodeAdmit = Callable[[Hello, bytes], None]
# Raises what a connection is refused with, once, before anything else is looked at.
Vouch = Callable[[Origin], None]


class NodeHandshake:
    """The hellos among nodes, on either side."""

    def __init__(self, mesh: Mesh, admit: NodeAdmit | None, vouch: Vouch | None) -> None:
        self._mesh = mesh
        self._admit = admit
        self._vouch = vouch

    # -- as who is dialled

    def greet(self, lane: Lane, hello: Hello) -> None:
        """Let a node in, or refuse it."""
        link, mesh = self._mesh.link, self._mesh
        origin = link.origin(lane)
        try:
            self._check_origin(hello, origin)
            is_self = self._is_self(hello)
            if not is_self:
                self._check(lane, hello, origin)
        except JobdError as error:
            link.refuse(None, "hello", error, process=hello.node[:64])
            link.handshake.answer(lane, error)
            return
        link.callers.said_hello(origin)
        if is_self:
            mesh.say_hello(lane, hello.lane)
            return
        self._make_way(hello)
        mesh.say_hello(lane, hello.lane)
        self._take(lane, hello, origin, first=True)

    def _check_origin(self, hello: Hello, origin: Origin) -> None:
        """Raise what a connection is refused with."""
        keys = self._mesh.link.keys
        if keys is not None and keys.check(origin.key, "node", "joiner") == "joiner":
            if hello.cluster:
                raise Forbidden("a join token admits only who belongs to no cluster yet")
        elif keys is None and self._vouch is not None:
            self._vouch(origin)

    def _check(self, lane: Lane, hello: Hello, origin: Origin) -> None:
        """Raise what a node is refused with."""
        link, mesh = self._mesh.link, self._mesh
        agreed_version(hello)
        if hello.role != "node":
            raise Forbidden(f"{hello.node[:64]} is no node")
        if hello.cluster and mesh.cluster and hello.cluster != mesh.cluster:
            raise ConfigError(
                f"{link.node} is of the cluster {mesh.cluster}, not of {hello.cluster[:64]}"
            )
        owner, known = link.lanes.get(lane), link.peers.get(hello.node)
        if owner is not None and owner.node != hello.node:
            raise Forbidden(f"this connection is {owner.node}'s")
        last = link.last_hello(hello.node)
        if last is not None and last.role == "node" and hello.incarnation < last.incarnation:
            raise Conflict(
                f"{hello.node} has a newer process: {last.incarnation}, not {hello.incarnation}"
            )
        if (
            isinstance(known, NodePeer)
            and known.incarnation == hello.incarnation
            and known.hello.key != hello.key
        ):
            raise Conflict(f"another process is {hello.node}: its data directory was copied")
        if hello.lane and not self._is_known(hello):
            raise HelloFirst("a lane without its main one")
        if self._admit is not None:
            self._admit(hello, origin.key)

    def _is_self(self, hello: Hello) -> bool:
        """Say whether this node has dialled itself. Raises Conflict for another with its name."""
        if hello.node != self._mesh.link.node:
            return False
        if hello.key != self._mesh.key:
            raise Conflict(f"two nodes are {hello.node[:64]}: a data directory was copied")
        return True

    def still_admits(self, peer: NodePeer) -> bool:
        """Say whether a node may stay; one that may not is told, and lost."""
        link = self._mesh.link
        try:
            if link.keys is not None and not (peer.is_guest and peer.is_host):
                roles = ("node", "joiner") if peer.is_guest else ("node",)
                link.keys.check(peer.origin.key, *roles)
            if self._admit is not None:
                self._admit(peer.hello, peer.origin.key)
        except JobdError as error:
            lane = peer.lane
            link.refuse(peer, "to stay", error)
            link.lose(peer.node, error.message)
            link.handshake.answer(lane, error)
            return False
        return True

    # -- as who has dialled

    def answered(self, dial: Dial, lane: Lane, hello: Hello) -> None:
        """Have a node that was dialled. Raises what this node doesn't want it for."""
        mesh = self._mesh
        # The key is the one that was dialled with: nobody else's would have come this far.
        origin = mesh.link.origin(lane)._replace(key=dial.key if mesh.link.keys else b"")
        if mesh.link.keys is None and self._vouch is not None:
            self._vouch(origin)
        if self._is_self(hello):
            mesh.stop_dialing(dial)
            return
        if dial.node not in ("", hello.node):
            raise Conflict(f"{hello.node[:64]} is at {dial.address}, not {dial.node}")
        self._check(lane, hello, origin)
        other = mesh.known_dial(hello.node, dial)
        if other is not None and not other.error:
            other.aim(*dial.targets)
            mesh.stop_dialing(dial)
            return
        dial.node = hello.node
        self._make_way(hello)
        self._take(lane, hello, origin, first=False)
        if not hello.lane:
            dial.answered()
        if other is not None:
            dial.aim(*other.targets)
            mesh.stop_dialing(other)

    # -- both

    def _is_guest(self, hello: Hello) -> bool:
        return not (hello.cluster and self._mesh.cluster)

    def _is_known(self, hello: Hello) -> bool:
        """Say whether it is the process that is linked, of the same standing."""
        known = self._mesh.link.peers.get(hello.node)
        return (
            isinstance(known, NodePeer)
            and (known.incarnation, known.hello.key) == (hello.incarnation, hello.key)
            and known.is_guest == self._is_guest(hello)
        )

    def _make_way(self, hello: Hello) -> None:
        """Part with an older process of a node, and with a client that took its name."""
        if not self._is_known(hello):
            self._mesh.link.lose(hello.node, "it was restarted")

    def _take(self, lane: Lane, hello: Hello, origin: Origin, *, first: bool) -> None:
        link = self._mesh.link
        known = link.peers.get(hello.node)
        if isinstance(known, NodePeer):
            link.lanes[lane] = known
            now_s = link.engine.clock.monotonic_s()
            known.add(lane, now_s, bulk=bool(hello.lane), first=first)
        else:
            peer = NodePeer(link, hello, lane, guest=self._is_guest(hello), host=not first)
            peer.origin = origin
            self._mesh.came(peer)
