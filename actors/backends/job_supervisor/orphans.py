"""Descendants whose parents died: the kernel gives them to the supervisor, their subreaper.

Whose they are is told by the mark that every job carries (process_tree.py), which a daemon keeps
when it clears its environment and leaves its session. One that sheds it on purpose may belong to
any attempt that ran when it was first seen: it goes when the last of these has ended.

Invariants
1. An orphan of an ended attempt is killed with everything below it.
2. An attempt is not done while an orphan is surely its own.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Mapping

from actors.backends.job_supervisor.process_tree import (
    children_of,
    descendants_of,
    kill_all,
    mark_of_process,
)

__all__ = ["Orphans"]


class Orphans:
    """The adopted processes and the attempts that they may belong to."""

    def __init__(self) -> None:
        self._owners: dict[int, frozenset[str]] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def reaped(self, pid: int) -> None:
        """It was waited for."""
        self._owners.pop(pid, None)

    def sweep(
        self, known: Container[int], attempts: Mapping[int, str], living: Iterable[str]
    ) -> None:
        """Find new orphans, kill those of attempts that are over.

        `known` are children that were spawned; `attempts` tells attempts by their marks, those
        just ended too; `living` are the attempts whose leader runs.
        """
        alive = frozenset(living)
        seen = [pid for pid in children_of(os.getpid()) if pid not in known]
        for pid in seen:
            if pid not in self._owners:
                self._owners[pid] = self._owners_of(pid, attempts)
        for gone in self._owners.keys() - set(seen):
            del self._owners[gone]
        doomed = [pid for pid, owners in self._owners.items() if not owners & alive]
        for pid in doomed:
            kill_all(descendants_of(pid))
        kill_all(doomed)

    def hold(self, attempt: str) -> bool:
        """Whether an orphan is surely this attempt's."""
        return any(owners == {attempt} for owners in self._owners.values())

    @staticmethod
    def _owners_of(pid: int, attempts: Mapping[int, str]) -> frozenset[str]:
        mark = mark_of_process(pid)
        if mark is None:
            return frozenset(attempts.values())
        attempt = attempts.get(mark)
        return frozenset() if attempt is None else frozenset((attempt,))  # none: of one long over
