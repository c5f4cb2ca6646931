"""The cluster port: where clients of the wire reach this node, and through it each other.

A client shows a token in its first frame; it is looked at again at each heartbeat, so that a
revoked one closes its link. Behind the port are the API, the directory of user actors, and the
relay between clients. It listens on loopback only: other machines need keys, which come with the
cluster.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from actors import addresses, limits
from actors.core.audit import AuditDraft
from actors.core.view import View
from actors.directory import Directory, expose_directory
from actors.errors import ConfigError, Unauthenticated
from actors.runtime import LoopHost, Principal
from actors.runtime.hello import Hello
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
) -> tuple[Link, str]:
    """Start what clients talk to and listen; return the link and HOST:PORT. Port 0 picks one.

    `node_types` are what other nodes may send besides. Raises ConfigError for an address that is
    taken, or that isn't loopback.
    """
    now_ms = host.clock.now_ms
    door = _Admission(gateway.view, gateway.audit, auth_enabled=auth_enabled, host=host)
    try:
        link = Link(
            host,
            endpoint(address),
            node=node,
            incarnation=incarnation,
            vocabulary=_vocabulary(node_types),
            admit=door.admit,
            on_refused=door.report,
        )
    except ConfigError as error:
        raise ConfigError(error.message, remedy=f"give another address with {FLAG}") from None
    host.spawn(Directory, addresses.DIRECTORY)
    host.spawn(lambda: ApiDoor(gateway, now_ms), addresses.API)
    return link, link.endpoint.removeprefix("tcp://")


def endpoint(address: tuple[str, int]) -> str:
    """Return what the port binds to. Raises ConfigError for what isn't loopback."""
    name, port = address
    if name not in _LOOPBACK:
        raise ConfigError(
            f"cluster.bind {name} is not loopback, and this node has no keys for other machines",
            remedy=f"bind to 127.0.0.1 with {FLAG}",
        )
    return f"tcp://{_LOOPBACK[name]}:{port or '*'}"


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
        """Return whose token it is. Raises Unauthenticated."""
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
