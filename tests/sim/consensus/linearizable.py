"""Linearizability of what clients saw: Wing and Gong's search with Lowe's memory, key by key.

A history is a sequence of `Operation`, in any order, of any number of clients and keys. Times are
numbers of one clock (of the simulation, or a monotonic one of the machine that all clients share):

    read    answered with `value` (None: there was no such key)
    write   put `value`; None deletes the key
    cas     put `value` (None deletes) if the key had the value `expected` (None: if it was absent);
            `ok` says whether it did so

`returned` None: no answer came, or one that leaves it open (a timeout, a lost connection, a 503
with `accepted: unknown`). It may take effect at any moment after `invoked`, or never. Leave an
unanswered read out, and so what was surely refused: neither says anything.

Values are compared by equality only and must be hashable. Let each write have a value of its own
("<client>-<number>"): then a stale read can't hide behind an equal value. A check by revision is a
`cas` whose `expected` is the value that was read with this revision.

The search is exponential in the worst case. Some hundreds of operations of a key with a few under
way at once take milliseconds; past `limit` steps the verdict is open (`ok` None), with the key.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from typing import Final, NamedTuple

__all__ = ["Operation", "Verdict", "answers", "check"]

_LIMIT: Final = 2_000_000


class Operation(NamedTuple):
    """One call of a client and its answer; see the top of this file."""

    key: str
    kind: str  # read, write or cas
    value: Hashable
    invoked: float
    returned: float | None
    expected: Hashable = None
    ok: bool = True
    client: str = ""  # for the reader of a verdict


class Verdict(NamedTuple):
    """`ok`: linearizable; None: not decided within the limit of steps.

    Of a history that is not, `key` is the first key that shows it, `longest` is the longest order
    that was found for some of its operations and `stuck` are those of which none can come next.
    """

    ok: bool | None
    key: str = ""
    longest: tuple[Operation, ...] = ()
    stuck: tuple[Operation, ...] = ()
    steps: int = 0

    def __str__(self) -> str:
        if self.ok:
            return f"linearizable ({self.steps} steps)"
        if self.ok is None:
            return f"key {self.key}: not decided within {self.steps} steps"
        done = "\n".join(f"    {operation}" for operation in self.longest[-8:])
        stuck = "\n".join(f"    {operation}" for operation in self.stuck)
        return f"key {self.key} is not linearizable: after\n{done}\nnone of these fits:\n{stuck}"


def check(
    history: Iterable[Operation], *, initial: Hashable = None, limit: int = _LIMIT
) -> Verdict:
    """Return whether there is an order of each key's operations that explains all answers.

    `initial` is what every key has before. `limit` is of steps, over all keys.
    """
    by_key: dict[str, list[Operation]] = {}
    for operation in history:
        by_key.setdefault(operation.key, []).append(operation)
    steps = 0
    for key in sorted(by_key):
        verdict = _Search(key, _telling(by_key[key]), initial).run(limit - steps)
        steps += verdict.steps
        if not verdict.ok:
            return verdict._replace(steps=steps)
    return Verdict(True, steps=steps)


def _telling(operations: list[Operation]) -> list[Operation]:
    """Leave out unanswered writes that nothing tells of: each would only double the search."""
    if any(o.kind == "cas" and not o.ok and o.returned is not None for o in operations):
        return operations  # a write that nobody read may be why a cas failed
    seen = {o.value for o in operations if o.kind == "read"}
    seen.update(o.expected for o in operations if o.kind == "cas")
    return [o for o in operations if o.returned is not None or o.value in seen]


class _Search:
    """One key's events (calls and returns by time) as a linked list; places are list indexes."""

    def __init__(self, key: str, operations: list[Operation], initial: Hashable) -> None:
        self._key = key
        self._operations = operations
        self._state = initial
        events: list[tuple[float, int, int]] = sorted(
            [(o.invoked, 0, i) for i, o in enumerate(operations)]
            + [
                (math.inf if o.returned is None else o.returned, 1, i)
                for i, o in enumerate(operations)
            ]
        )
        self._events = events
        self._head = len(events)
        self._next: list[int] = [*range(1, len(events) + 1), 0]
        self._before: list[int] = [self._head, *range(len(events))]
        self._call = {i: place for place, (_, kind, i) in enumerate(events) if kind == 0}
        self._return = {i: place for place, (_, kind, i) in enumerate(events) if kind == 1}
        self._done = 0  # a bit for each operation that has its place in the order
        self._order: list[tuple[int, Hashable]] = []  # (operation, the state before it)

    def run(self, limit: int) -> Verdict:
        """Search. An event after which nothing fits takes back the last choice."""
        answered = sum(1 << i for i, o in enumerate(self._operations) if o.returned is not None)
        seen: set[tuple[int, Hashable]] = set()
        longest: tuple[int, ...] = ()
        stuck: tuple[int, ...] = ()
        place, steps = self._next[self._head], 0
        while self._done & answered != answered:
            steps += 1
            if steps > limit:
                return Verdict(None, self._key, steps=steps)
            chosen = self._choose(place, seen)
            if chosen:
                place = self._next[self._head]
                continue
            if place != self._head and self._events[place][1] == 0:
                place = self._next[place]
                continue
            if not stuck or len(self._order) > len(longest):
                longest = tuple(i for i, _ in self._order)
                stuck = self._open(place)
            if not self._order:
                return self._refuted(longest, stuck, steps)
            place = self._take_back()
        return Verdict(True, self._key, steps=steps)

    def _choose(self, place: int, seen: set[tuple[int, Hashable]]) -> bool:
        """Let the operation called here come next, if its answer fits and this was not tried."""
        if place == self._head:
            return False
        _, kind, i = self._events[place]
        if kind == 1:
            return False
        fits, state = answers(self._operations[i], self._state)
        done = self._done | 1 << i
        if not fits or (done, state) in seen:
            return False
        seen.add((done, state))
        self._order.append((i, self._state))
        self._state, self._done = state, done
        self._lift(self._call[i])
        self._lift(self._return[i])
        return True

    def _take_back(self) -> int:
        """Undo the last choice and return the place to go on from."""
        i, state = self._order.pop()
        self._state = state
        self._done &= ~(1 << i)
        self._put_back(self._return[i])
        self._put_back(self._call[i])
        return self._next[self._call[i]]

    def _lift(self, place: int) -> None:
        before, after = self._before[place], self._next[place]
        self._next[before], self._before[after] = after, before

    def _put_back(self, place: int) -> None:
        self._next[self._before[place]] = self._before[self._next[place]] = place

    def _open(self, place: int) -> tuple[int, ...]:
        """The operations called before this place that have none in the order."""
        found, at = [], self._next[self._head]
        while at not in (place, self._head):
            found.append(self._events[at][2])
            at = self._next[at]
        return tuple(found)

    def _refuted(self, longest: tuple[int, ...], stuck: tuple[int, ...], steps: int) -> Verdict:
        name = self._operations
        return Verdict(
            False,
            self._key,
            tuple(name[i] for i in longest),
            tuple(name[i] for i in stuck),
            steps,
        )


def answers(operation: Operation, state: Hashable) -> tuple[bool, Hashable]:
    """Return whether the answer fits this state, and the state after it."""
    if operation.kind == "read":
        return state == operation.value, state
    if operation.kind == "write":
        return True, operation.value
    holds = state == operation.expected
    if operation.returned is not None and holds != operation.ok:
        return False, state
    return True, operation.value if holds else state
