"""A job of the history as a view, so that whoever shows jobs shows it by the same code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from actors.core.history import EndedJob, EndedTask
from actors.core.view import Change, Entry
from actors.model import keys

__all__ = ["PastJob"]


class PastJob:
    """A View of one job with its spec, tasks and outputs; what it holds never changes."""

    def __init__(self, ended: EndedJob, tasks: Iterable[EndedTask] = ()) -> None:
        self._revision = revision = ended.revision
        self._entries = {
            keys.job(ended.id): Entry(revision, ended.job),
            keys.spec(ended.id): Entry(revision, ended.spec),
        }
        if ended.output is not None:
            self._entries[keys.output(ended.id, 0)] = Entry(revision, ended.output)
        for task in tasks:
            self._entries[keys.task(ended.id, task.index)] = Entry(revision, task.task)
            if task.output is not None:
                self._entries[keys.output(ended.id, task.index)] = Entry(revision, task.output)

    @property
    def revision(self) -> int:
        """The revision at which the job ended."""
        return self._revision

    def get(self, key: str) -> Entry | None:
        """Return a key's entry, or None."""
        return self._entries.get(key)

    def scan(self, prefix: str, after: str = "") -> Iterator[tuple[str, Entry]]:
        """Yield (key, entry) of the keys with this prefix that are above `after`, in key order."""
        for key in sorted(self._entries):
            if key.startswith(prefix) and key > after:
                yield key, self._entries[key]

    def count(self, prefix: str) -> int:
        """Return how many keys have this kind, or this prefix when it goes on after the kind."""
        kind, slash, _ = prefix.partition("/")
        return sum(1 for _ in self.scan(prefix if slash else f"{kind}/"))

    def changes(self, after: int, limit: int) -> list[Change] | None:
        """Return no changes: there will be none."""
        return []
