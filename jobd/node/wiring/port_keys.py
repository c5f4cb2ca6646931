"""Who may connect to the cluster port: by keys, or, on loopback without keys, by user."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from actors.backends.connection_user import user_at
from actors.core.view import View
from actors.errors import ConfigError, Forbidden
from actors.model.epoch import Epoch
from actors.runtime.actor import Clock
from actors.runtime.curve import Curve, public_of
from actors.runtime.keys import Keys
from actors.runtime.origin import Origin
from jobd.cluster_section import ClusterSection
from jobd.node.allow_list import AllowList
from jobd.node.link_keys import LinkKeys

__all__ = ["Vouching", "check_peers", "join_keys", "open_keys", "ticket_of"]

_REFUSED_S: Final = 1.0
_REFUSED_KEPT: Final = 256


def open_keys(
    data: Path,
    settings: ClusterSection,
    clock: Clock,
    view: View | None = None,
    epoch: Callable[[], Epoch] | None = None,
) -> Keys | None:
    """Return the keys of the cluster port, None for a node without. Raises ConfigError."""
    files = LinkKeys(data)
    own = files.own()
    if own is None:
        return None
    named = map(bytes.fromhex, settings.keys.values())
    return Keys(own, AllowList(files, clock, named, view, epoch).role_of)


class Vouching:
    """Lets in, without a key, only what runs as this user or as root.

    A refusal is good for a moment: the tables of the kernel are long on a busy machine, and who was
    refused may ask again and again.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refused: dict[Origin, float] = {}  # when

    def check(self, origin: Origin) -> None:
        """Raise Forbidden for a connection of another user."""
        now_s = self._clock.monotonic_s()
        if now_s - self._refused.get(origin, -_REFUSED_S) >= _REFUSED_S:
            if user_at(origin.remote, origin.local) in (os.geteuid(), 0):
                return
            self._refused[origin] = now_s
            while len(self._refused) > _REFUSED_KEPT:
                del self._refused[next(iter(self._refused))]
        raise Forbidden(
            "without keys a node links only with nodes of its own user on this machine",
            remedy="give each node keys: `jobd keys new`",
        )


def join_keys(keys: Keys | None, secret: str) -> tuple[bytes, str]:
    """Return the public key of a join token's secret, and this node's own as a text.

    Both are empty for a node without keys.
    """
    if keys is None:
        return b"", ""
    return public_of(bytes.fromhex(secret)), keys.own.public.hex()


def ticket_of(keys: Keys | None, secret: str, cluster_key: str) -> Curve | None:
    """Return the pair to join with, None where links are not encrypted. Raises ConfigError."""
    if bool(keys) != bool(cluster_key):
        raise ConfigError(
            "the cluster's links are encrypted, and this node has no key"
            if cluster_key
            else "this node has a key, and the cluster's links are not encrypted",
            remedy="`jobd keys new --data DIR` makes one, before the node's first start"
            if cluster_key
            else "make keys at every node of the cluster, or join without",
        )
    if not cluster_key:
        return None
    pair = bytes.fromhex(secret)
    return Curve(public_of(pair), pair)


def check_peers(keys: Keys | None, settings: ClusterSection, bound: str) -> None:
    """See that a node with keys knows those of its peers. Raises ConfigError."""
    if keys is None:
        return
    own = {bound, settings.bind, settings.advertise}
    unknown = [
        peer for peer in settings.bootstrap_peers if peer not in settings.keys and peer not in own
    ]
    is_named = keys.own.public in map(bytes.fromhex, settings.keys.values())
    may_be_self = 0 if is_named or own & set(settings.bootstrap_peers) else 1
    if len(unknown) > may_be_self:
        raise ConfigError(
            f"cluster.keys names no key of {unknown[0]}",
            remedy="put there what `jobd keys show` prints on that node",
        )
