"""What actors that decide have in common: they follow the feed and submit transactions.

Rules of this file:
D1  A decision is taken from the view alone (level-triggered); messages are hints.
D2  At most one undecided transaction per entity. The entity is free again when the decision was
    refused, or when the feed has shown its commit, however late the reply.
D3  No handler waits: the answer of a transaction comes as a message, then `decide` runs again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import msgspec

from actors import addresses, limits
from actors.consensus_replica import Nudge, SubmitTxn, Subscribe
from actors.core.store.txn import Committed, Result, Txn
from actors.core.view import Change, View
from actors.runtime import (
    After,
    Answered,
    Ask,
    Context,
    Effect,
    Effects,
    Failed,
    LoopActor,
    Tell,
    handles,
)

__all__ = ["Decided", "StoreActor"]

_RETRY_S: Final = 1.0


class Decided(msgspec.Struct, frozen=True):
    """The tag of a submitted transaction: which entity it decides."""

    entity: str


class _DecideAgain(msgspec.Struct, frozen=True):
    pass


class StoreActor(LoopActor):
    """Follows the feed; subclasses keep what they derive and say what is to be decided."""

    grows: ClassVar[bool] = False  # its transactions take on something new
    # The kinds of keys that it looks at, those of its own transactions among them; () is all.
    # Whether homes have moved is told by `session`.
    follows: ClassVar[tuple[str, ...]] = ()

    def __init__(self, view: View) -> None:
        super().__init__()
        self.view = view
        self._cursor = -1
        self._in_flight: dict[str, int | None] = {}  # entity → revision awaited from the feed

    # -- for subclasses

    def rescan(self) -> Effects:
        """Derive everything anew from the view: at the start, and when the feed has a gap."""
        raise NotImplementedError

    def changed(self, change: Change) -> Effects:
        """Take one change into what is derived."""
        raise NotImplementedError

    def decide(self) -> Effects:
        """Say what is to be done now; called after every change and every answer."""
        raise NotImplementedError

    def decided(self, entity: str, result: Result) -> Effects:
        """Take the answer of a transaction; by default the feed says what matters."""
        return None

    def refused(self, entity: str) -> None:
        """Note that a transaction was not ordered at all; `decide` runs again in a moment."""

    def undecided(self, entity: str) -> bool:
        """Say whether a transaction of this entity is still under way."""
        return entity in self._in_flight

    def submit(self, entity: str, txn: Txn | None) -> Iterator[Effect]:
        """Submit a decision unless there is none, or one of this entity is under way (D2)."""
        if txn is not None and entity not in self._in_flight:
            self._in_flight[entity] = None
            yield Ask(
                addresses.REPLICA, SubmitTxn(txn, grows=self.grows), Decided(entity), timeout_s=None
            )

    # -- the feed

    def on_start(self) -> Iterator[Effect]:
        """Derive from the state, then follow."""
        yield Tell(addresses.REPLICA, Subscribe(self.follows))
        yield from self._rescan()
        yield from self.decide() or ()

    def _rescan(self) -> Iterator[Effect]:
        self._cursor = self.view.revision
        yield from self.rescan() or ()
        self._land()

    @handles(Nudge)
    def nudge(self, message: Nudge, context: Context) -> Iterator[Effect]:
        """Take the changes after the cursor."""
        if self._cursor == self.view.revision:
            return
        changes = self.view.changes(self._cursor, limits.FEED_TAKE)
        if changes is None:
            yield from self._rescan()
        else:
            for change in changes:
                yield from self.changed(change) or ()
            # Commits without ops leave no change; the cursor passes them too.
            full = len(changes) >= limits.FEED_TAKE
            self._cursor = changes[-1].revision if full else self.view.revision
            self._land()
            if full:
                yield Tell(self.address, Nudge())
        yield from self.decide() or ()

    def _land(self) -> None:
        """Free the entities whose commit the feed has now shown."""
        landed = [
            e for e, revision in self._in_flight.items() if revision and revision <= self._cursor
        ]
        for entity in landed:
            del self._in_flight[entity]

    # -- answers

    @handles(Answered)
    def answered(self, message: Answered, context: Context) -> Iterator[Effect]:
        """Note how a transaction was judged."""
        assert isinstance(message.tag, Decided), "a store actor asks only the replica"
        entity = message.tag.entity
        result: Result = message.value
        if isinstance(result, Committed) and result.revision > self._cursor:
            self._in_flight[entity] = result.revision
        else:
            self._in_flight.pop(entity, None)
        yield from self.decided(entity, result) or ()
        yield from self.decide() or ()

    @handles(Failed)
    def failed(self, message: Failed, context: Context) -> Effects:
        """Refused for now (disk full, busy): decide again in a moment, from the state then."""
        assert isinstance(message.tag, Decided), "a store actor asks only the replica"
        self._in_flight.pop(message.tag.entity, None)
        self.refused(message.tag.entity)
        return [After(_RETRY_S, _DecideAgain(), key="decide again")]

    @handles(_DecideAgain)
    def decide_again(self, message: _DecideAgain, context: Context) -> Effects:
        """Try what was refused."""
        return self.decide()
