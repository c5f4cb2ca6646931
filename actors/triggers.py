"""The actor of event triggers: events start jobs and runs, each once.

It acts for `trigger/` and for the hooks that start something; `actors/core/trigger/firing.py` says
what is decided, `actors/event_reader.py` when.
"""

from __future__ import annotations

from typing import Any, ClassVar

from actors.core import buckets
from actors.core.store.txn import Txn
from actors.core.trigger import Looked, fire, fires_for
from actors.event_reader import EventReader
from actors.model.event import Event, Place
from actors.model.hook import HookRecord
from actors.model.ids import make_id

__all__ = ["Triggers"]


class Triggers(EventReader):
    """One per node."""

    kinds: ClassVar = ("trigger/", "hook/")
    follows: ClassVar = ("trigger", "hook", "session")

    def watches(self, key: str, noun: Any) -> bool:
        """An event trigger, or a hook that starts something."""
        if isinstance(noun, HookRecord):
            return noun.target is not None and not noun.disabled
        return noun.events is not None and noun.target is not None

    def wants(self, key: str, record: Any, event: Event) -> bool:
        """Whether its types and its filter match."""
        return fires_for(record, event)

    def act(self, key: str, matched: list[Event], upto: Place, now_ms: int) -> Txn | None:
        """Start what they start."""
        return fire(
            self.view, key, Looked(matched, upto), new_id=lambda: self._mint(now_ms), now_ms=now_ms
        )

    def _mint(self, now_ms: int) -> str:
        """Mint an id of a time in which jobs are accepted."""
        return make_id(buckets.open_from_ms(self.view, now_ms), self.rng.getrandbits(80))
