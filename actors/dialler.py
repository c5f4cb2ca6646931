"""The actor that keeps the links of a node in step with the nodes that the store names."""

from __future__ import annotations

from collections.abc import Callable

from actors.core.view import Change, View
from actors.runtime import Effects
from actors.store_actor import StoreActor

__all__ = ["Dialler"]


class Dialler(StoreActor):
    """Calls `follow` whenever a node's record has changed."""

    def __init__(self, view: View, follow: Callable[[], None]) -> None:
        super().__init__(view)
        self._follow = follow
        self._is_due = True

    def rescan(self) -> Effects:
        """Look at all records."""
        self._is_due = True
        return None

    def changed(self, change: Change) -> Effects:
        """Note a record that changed."""
        self._is_due |= change.key.startswith("node/")
        return None

    def decide(self) -> Effects:
        """Dial whom the records name now."""
        if self._is_due:
            self._is_due = False
            self._follow()
        return None
