"""The actor that gives the cluster's sealing keys to the nodes that lack them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Final

from actors.core.sealing import Vault
from actors.core.view import Change, View
from actors.errors import JobdError
from actors.model import keys
from actors.runtime import Effect, Effects
from actors.store_actor import StoreActor

__all__ = ["SealKeys"]

_log: Final = logging.getLogger(__name__)
_OF: Final = ("node", "sealkey")


class SealKeys(StoreActor):
    """One per node. `make_ready` has the vault make its key, in a thread, where there is none.

    A node alone never loads the cryptography for this.
    """

    def __init__(
        self, view: View, vault: Vault, *, node: str, make_ready: Callable[[], None]
    ) -> None:
        super().__init__(view)
        self._vault = vault
        self._node = node
        self._make_ready = make_ready
        self._is_due = True
        self._is_asked = False

    def rescan(self) -> Effects:
        """Look at all keys."""
        self._is_due = True
        return None

    def changed(self, change: Change) -> Effects:
        """Note that a node came or has another key, or that there is another wrap."""
        self._is_due |= keys.kind(change.key) in _OF
        return None

    def decide(self) -> Iterator[Effect]:
        """Wrap for whom a key is missing."""
        if not self._is_due or self.view.count("node") < 2:
            return
        if not self._vault.public_key:
            if not self._is_asked:
                self._is_asked = True
                self._make_ready()
            return  # its record with the key, once it is put, leads here again
        self._is_due = False
        try:
            for place, txn in self._vault.wraps(self.clock.now_ms()):
                yield from self.submit(place, txn)
        except JobdError as error:
            _log.error("sealing keys can't be wrapped for other nodes: %s", error)
