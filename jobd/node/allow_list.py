"""Whom a node's cluster port lets in by their keys, as the files and the store say right now.

1. This node itself, and its machine's clients, by the keys in its data directory.
2. Who is in its list or among the cluster's clients, and the bootstrap peers whose keys its
   configuration names.
3. The nodes of the cluster, by their records and as members of the present epoch.
4. Newcomers, by an unspent join token: its secret is the key that they come with.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final

from actors.core.view import View
from actors.errors import ConfigError
from actors.model import keys
from actors.model.epoch import Epoch
from actors.runtime.actor import Clock
from jobd.node.link_keys import LinkKeys

__all__ = ["AllowList"]

_log: Final = logging.getLogger(__name__)
_TRUSTED_S: Final = 0.5  # a key that was on the list may be off it for so long


class AllowList:
    """The role of a key's owner: node, client, joiner, or "" for a key that is not known.

    `named`: keys of nodes that the configuration names. `view` and `epoch` are None for a node that
    has no state yet.
    """

    def __init__(
        self,
        files: LinkKeys,
        clock: Clock,
        named: Iterable[bytes] = (),
        view: View | None = None,
        epoch: Callable[[], Epoch] | None = None,
    ) -> None:
        self._files = files
        self._clock = clock
        self._named = frozenset(named)
        self._view = view
        self._epoch = epoch
        self._own = {}
        for role, pair in (("node", files.own()), ("client", files.local())):
            if pair is not None:
                self._own[pair.public] = role
        self._found: dict[bytes, str] = {}
        self._found_s = -1.0
        self._is_readable = True

    def role_of(self, key: bytes) -> str:
        """Return the role of a key's owner."""
        now_s = self._clock.monotonic_s()
        if now_s - self._found_s > _TRUSTED_S or key not in self._found:
            self._found, self._found_s = self._roles(), now_s
        return self._found.get(key, "")

    def _roles(self) -> dict[bytes, str]:
        roles = dict.fromkeys(self._named, "node")
        if self._view is not None:
            now_ms = self._clock.now_ms()
            for _, entry in self._view.scan("jointoken/"):
                if entry.noun.key and now_ms < entry.noun.expires_ms:
                    roles[entry.noun.key] = "joiner"
            for _, entry in self._view.scan(keys.client_key("")):
                roles[entry.noun.key] = "client"
            for _, entry in self._view.scan(keys.node("")):
                roles[entry.noun.key] = "node"
        if self._epoch is not None:
            roles.update((member.key, "node") for member in self._epoch().members)
        try:
            roles.update((each.key, each.role) for each in self._files.allowed())
        except ConfigError as error:
            if self._is_readable:
                _log.error("nobody is let in by the list of keys: %s", error)
            self._is_readable = False
        else:
            self._is_readable = True
        roles.update(self._own)
        roles.pop(b"", None)
        return roles
