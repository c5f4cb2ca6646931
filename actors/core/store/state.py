"""The replicated state: versioned keys, changed only by `apply`.

Rules of this file:
A1  Apply is generic and deterministic: no clock, randomness, float, I/O or domain logic, and no
    comparison of times; a transaction's `now_ms` is a stamp.
A2  A commit takes the next revision; `Conflict`, `Stale` and repeats take none.
A3  All checks are judged against the state before the transaction; all ops get its revision.
A4  Values are immutable bytes; decoded nouns are cached by (key, revision), once per node.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from sortedcontainers import SortedList

from actors.core.store.feed import Feed
from actors.core.store.sessions import SessionTables
from actors.core.store.txn import EXISTS, Committed, Conflict, Result, Txn
from actors.core.view import Change, Entry
from actors.model import keys
from actors.model.codec import decode, is_readable
from actors.model.event import Event

__all__ = ["State"]

_CACHED_NOUNS: Final = 65_536


class State:
    """key → (revision, bytes), in memory; a View of what has been applied."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[int, bytes]] = {}
        # Ordered: a plain dict looks past all that it has deleted to find its first key.
        self._nouns: OrderedDict[str, Entry] = OrderedDict()
        self._order: dict[str, SortedList] = {}
        self._feed: Feed | None = Feed()
        self._events: list[Event] = []
        self.sessions = SessionTables()
        self.revision = 0

    def __len__(self) -> int:
        return len(self._values)

    # -- reading (a View)

    def get(self, key: str) -> Entry | None:
        """Return a key's entry, or None.

        A value of a newer schema is left alone: nobody here sees it, and who takes its key for a
        free one is told by the store that it is not.
        """
        entry = self._nouns.get(key)
        if entry is None:
            stored = self._values.get(key)
            if stored is None or not is_readable(stored[1]):
                return None
            entry = Entry(stored[0], decode(keys.kind(key), stored[1]))
            if len(self._nouns) >= _CACHED_NOUNS:
                self._nouns.popitem(last=False)
            self._nouns[key] = entry
        return entry

    def raw(self, key: str) -> tuple[int, bytes] | None:
        """Return (revision, stored bytes) of a key, or None."""
        return self._values.get(key)

    def scan(self, prefix: str, after: str = "") -> Iterator[tuple[str, Entry]]:
        """Yield (key, entry) of the keys with this prefix above `after`, in key order.

        The state must not be changed while the iterator is in use.
        """
        order = self._order.get(keys.kind(prefix))
        if order is None:
            return
        for key in order.irange(minimum=max(prefix, after)):
            if not key.startswith(prefix):
                return
            if key != after:
                entry = self.get(key)
                if entry is not None:
                    yield key, entry

    def newest(self, prefix: str, before: str = "") -> Iterator[tuple[str, Entry]]:
        """Yield (key, entry) of the keys with this prefix below `before`, the last key first."""
        order = self._order.get(keys.kind(prefix))
        if order is None:
            return
        end = before or prefix + "\U0010ffff"
        for key in order.irange(minimum=prefix, maximum=end, inclusive=(True, False), reverse=True):
            entry = self.get(key)
            if entry is not None:
                yield key, entry

    def count(self, prefix: str) -> int:
        """Return how many keys have this kind, or this prefix when it goes on after the kind."""
        kind, _, rest = prefix.partition("/")
        order = self._order.get(kind)
        if order is None:
            return 0
        if not rest:
            return len(order)
        return int(order.bisect_left(prefix + "\U0010ffff") - order.bisect_left(prefix))

    def changes(self, after: int, limit: int) -> list[Change] | None:
        """Return the changes above a revision, or None when they have left the ring."""
        return self._feed.after(after, limit) if self._feed is not None else None

    # -- changing

    def apply(self, txn: Txn) -> Result:
        """Judge a transaction and, when its checks hold, commit it at the next revision."""
        ref = txn.session
        if ref is not None and ref.number:
            answer = self.sessions.recall(ref, self._revision_of(keys.session(ref.node)))
            if answer is not None:
                return answer
        result = self._judge(txn)
        if ref is not None and ref.number:
            self.sessions.remember(ref, result)
        return result

    def _judge(self, txn: Txn) -> Result:
        values = self._values
        failed = []
        for key, wanted in txn.checks:
            stored = values.get(key)
            current = stored[0] if stored is not None else 0
            if (current == 0) if wanted == EXISTS else (current != wanted):
                failed.append((key, current))
        if failed:
            return Conflict(tuple(failed))
        self._commit(txn)
        return Committed(self.revision)

    def _commit(self, txn: Txn) -> None:
        revision = self.revision = self.revision + 1
        for key, value in txn.ops:
            if value is None:
                self._delete(key)
            else:
                self._put(key, revision, value)
            if key.startswith("session/"):
                self.sessions.drop(keys.last(key))
        if self._feed is not None:
            changes = tuple([Change(revision, key, value is None) for key, value in txn.ops])
            self._feed.push(revision, changes)
        for k, draft in enumerate(txn.events):
            self._events.append(
                Event(
                    revision,
                    k,
                    txn.now_ms,
                    draft.type,
                    draft.subject,
                    draft.data,
                    draft.trace,
                    draft.cause,
                )
            )

    def _put(self, key: str, revision: int, value: bytes) -> None:
        if key not in self._values:
            kind = keys.kind(key)
            order = self._order.get(kind)
            if order is None:
                order = self._order[kind] = SortedList()
            order.add(key)
        self._values[key] = (revision, value)
        self._nouns.pop(key, None)

    def _delete(self, key: str) -> None:
        if self._values.pop(key, None) is not None:
            self._order[keys.kind(key)].remove(key)
            self._nouns.pop(key, None)

    def _revision_of(self, key: str) -> int:
        stored = self._values.get(key)
        return stored[0] if stored is not None else 0

    def take_events(self) -> list[Event]:
        """Return the events committed since the last call, in order."""
        events, self._events = self._events, []
        return events

    @contextmanager
    def unfollowed(self) -> Iterator[None]:
        """Keep no changes within: a log is replayed, which nobody follows. Half the time."""
        self._feed = None
        try:
            yield
        finally:
            self._feed = Feed(self.revision)

    # -- the image

    def restore(
        self, revision: int, rows: Iterable[tuple[str, int, bytes | None]], sessions: bytes
    ) -> None:
        """Take the content of an image; only on an empty state."""
        assert self.revision == 0, "an image is loaded once, before anything is applied"
        by_kind: dict[str, list[Any]] = {}
        for key, row_revision, value in rows:
            assert value is not None, "an image holds no deleted keys"
            self._values[key] = (row_revision, value)
            by_kind.setdefault(keys.kind(key), []).append(key)
        self._order = {kind: SortedList(names) for kind, names in by_kind.items()}
        self.sessions.load(sessions)
        self.revision = revision
        self._feed = Feed(revision)
