"""The model's store and views: the product's own State, and what a node has applied of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from actors.core.store.state import State
from actors.core.store.txn import Committed, Result, Txn
from actors.core.view import Change, Entry
from actors.model import keys
from actors.model.codec import NOUNS, decode

__all__ = ["AppliedView", "Msg", "Store"]

_NOUNS: dict[tuple[str, bytes], Any] = {}  # nouns are frozen: one decoding serves every view


class Msg(NamedTuple):
    """A transaction under way. `proc` numbers the node's processes; `about` is for the checker."""

    node: int
    proc: int
    kind: str
    about: Any
    txn: Txn

    @property
    def session(self) -> int:
        return self.txn.session.number if self.txn.session else 0


class AppliedView:
    """A prefix of the log, as decoded entries; `of` has those of each kind."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.of: dict[str, dict[str, Entry]] = {kind: {} for kind in NOUNS}
        self.revision = 0
        self.get = self.entries.get

    def scan(self, prefix: str, after: str = "") -> Iterator[tuple[str, Entry]]:
        entries = self.of[keys.kind(prefix)]
        if entries:
            for key in sorted([k for k in entries if k.startswith(prefix) and k > after]):
                yield key, entries[key]

    def count(self, prefix: str) -> int:
        return sum(key.startswith(prefix) for key in self.entries)

    def changes(self, after: int, limit: int) -> list[Change] | None:
        raise AssertionError("no decision reads the feed")

    def apply(self, ops: tuple[tuple[str, Entry | None], ...]) -> None:
        self.revision += 1
        for key, entry in ops:
            of_kind = self.of[keys.kind(key)]
            if entry is None:
                self.entries.pop(key, None)
                of_kind.pop(key, None)
            else:
                self.entries[key] = of_kind[key] = entry


class Store:
    """Linearizable and always reachable: `State`, with its log in decoded form beside it."""

    def __init__(self) -> None:
        self.state = State()
        self.log: list[tuple[tuple[str, Entry | None], ...]] = []
        self.truth = AppliedView()  # after every commit

    def apply(self, txn: Txn) -> tuple[Result, bool]:
        """Return the result, and whether it is a new commit."""
        result = self.state.apply(txn)
        if self.state.revision == len(self.log):
            return result, False
        assert isinstance(result, Committed)
        ops = tuple((key, _entry(key, result.revision, value)) for key, value in txn.ops)
        self.log.append(ops)
        self.truth.apply(ops)
        return result, True


def _entry(key: str, revision: int, value: bytes | None) -> Entry | None:
    if value is None:
        return None
    kind = keys.kind(key)
    noun = _NOUNS.get((kind, value))
    if noun is None:
        if len(_NOUNS) > 50_000:
            _NOUNS.clear()
        noun = _NOUNS[kind, value] = decode(kind, value)
    return Entry(revision, noun)
