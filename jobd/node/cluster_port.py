"""The cluster port: where clients of the wire reach this node, and through it each other.

A client shows a token in its first frame; it is looked at again at each heartbeat, so that a
revoked one closes its link. Behind the port are the API, the directory of user actors, and the
relay between clients. A node that has keys listens wherever it is told to, and everyone who
connects needs a key on its list; one without listens on loopback only.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Final

import msgspec

from actors import addresses, limits
from actors.core.audit import AuditDraft
from actors.core.view import View
from actors.directory import Directory, expose_directory
from actors.errors import ConfigError, Conflict, Unauthenticated
from actors.model.ids import is_id
from actors.runtime import LoopHost, Principal
from actors.runtime.hello import Hello
from actors.runtime.keys import Keys
from actors.runtime.link import Link, Refusal
from actors.runtime.registry import DIRECTORY_TYPES
from actors.runtime.vocabulary import Vocabulary
from jobd.api import principal as api
from jobd.api.audit import Audit
from jobd.api.gateway import Gateway
from jobd.api.message import ApiRequest
from jobd.node.door import ApiDoor

__all__ = ["FLAG", "endpoint", "open_cluster_port"]

FLAG: Final = "--cluster"
_LOOPBACK: Final = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "[::1]"}


def open_cluster_port(
    host: LoopHost,
    gateway: Gateway,
    address: tuple[str, int],
    *,
    node: str,
    incarnation: int,
    auth_enabled: bool,
    node_types: Iterable[type[msgspec.Struct]] = (),
    keys: Keys | None = None,
) -> tuple[Link, str]:
    """Start what clients talk to and listen; return the link and HOST:PORT. Port 0 picks one.

    `node_types` are what other nodes may send besides. Raises ConfigError for an address that is
    taken, or that isn't loopback while there are no keys.
    """
    now_ms = host.clock.now_ms
    door = _Admission(gateway.view, gateway.audit, auth_enabled=auth_enabled, host=host)
    where = endpoint(address, has_keys=keys is not None)
    try:
        link = Link(
            host,
            where,
            node=node,
            incarnation=incarnation,
            vocabulary=_vocabulary(node_types),
            admit=door.admit,
            on_refused=door.report,
            keys=keys,
        )
    except ConfigError as error:
        raise ConfigError(error.message, remedy=f"give another address with {FLAG}") from None
    host.spawn(Directory, addresses.DIRECTORY)
    host.spawn(lambda: ApiDoor(gateway, now_ms), addresses.API)
    return link, link.endpoint.removeprefix("tcp://")


def endpoint(address: tuple[str, int], *, has_keys: bool) -> str:
    """Return what the port binds to. Raises ConfigError for what isn't loopback without keys."""
    name, port = address
    if name not in _LOOPBACK and not has_keys:
        raise ConfigError(
            f"cluster.bind {name} is not loopback, and this node has no keys for other machines",
            remedy=f"make keys with `jobd keys new`, or bind to 127.0.0.1 with {FLAG}",
        )
    return f"tcp://{_LOOPBACK.get(name) or _numeric(name)}:{port or '*'}"


def _numeric(name: str) -> str:
    """Return the address of an interface by a name of it. Raises ConfigError."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(
            f"cluster.bind {name}: {error.strerror}", remedy="give an address of this machine"
        ) from None
    address = str(found[0][4][0])
    return f"[{address}]" if ":" in address else address


def _vocabulary(node_types: Iterable[type[msgspec.Struct]]) -> Vocabulary:
    vocabulary = Vocabulary([ApiRequest, *DIRECTORY_TYPES, *node_types])
    vocabulary.expose(ApiRequest, "")  # the door knows what each route asks for
    expose_directory(vocabulary)
    return vocabulary


class _Admission:
    """Who may come in, and the audit trail's note of who may not."""

    def __init__(self, view: View, audit: Audit, *, auth_enabled: bool, host: LoopHost) -> None:
        self._view = view
        self._audit = audit
        self._auth_enabled = auth_enabled
        self._now_ms = host.clock.now_ms

    def admit(self, hello: Hello) -> Principal:
        """Return whose token it is. Raises Unauthenticated; Conflict for a name like a node's."""
        if is_id(hello.node):  # what is for a node that is away would come to it
            raise Conflict(f"{hello.node} is the form of a node's id, and no name for a client")
        found: api.Principal | None = api.LOCAL
        if self._auth_enabled:
            found = api.authenticate(self._view, f"Bearer {hello.token}", self._now_ms())
        if found is None:
            raise Unauthenticated(
                "a token that is not known, revoked or out of date" if hello.token else "no token",
                remedy="give a token of this cluster: JOBD_TOKEN, or `jobctl token create`",
            )
        return Principal(found.token_id, frozenset(found.scopes))

    def report(self, refusal: Refusal) -> None:
        """Tell the audit trail; it counts repeats."""
        self._audit.deny(
            AuditDraft(
                time_ms=self._now_ms(),
                operation=f"wire {refusal.what}",
                decision="denied",
                outcome=refusal.error.code,
                actor=refusal.principal,
                subject=refusal.process[: limits.KEY_BYTES],
                door="wire",
            )
        )
