"""Which commands were executed, as intervals: kept for ever, and small.

Rule: it is asked before anything is made for an unknown id, so that a late duplicate of a
collected command raises no second one.
"""

from __future__ import annotations

from bisect import bisect_right

from actors.core.consensus.messages import CommandId

__all__ = ["ExecutedIds", "Intervals"]

Intervals = tuple[tuple[int, int, tuple[tuple[int, int], ...]], ...]


class ExecutedIds:
    """For each (replica, incarnation) the executed numbers, as closed intervals."""

    def __init__(self, intervals: Intervals = ()) -> None:
        self._of: dict[tuple[int, int], list[list[int]]] = {
            (replica, incarnation): [list(pair) for pair in pairs]
            for replica, incarnation, pairs in intervals
        }

    def __contains__(self, id_: CommandId) -> bool:
        replica, incarnation, number = id_
        pairs = self._of.get((replica, incarnation))
        if not pairs:
            return False
        place = bisect_right(pairs, [number + 1]) - 1
        low, high = pairs[place]
        return place >= 0 and low <= number <= high

    def add(self, id_: CommandId) -> None:
        """Note an execution. Asserts that it is the first (I11)."""
        replica, incarnation, number = id_
        pairs = self._of.setdefault((replica, incarnation), [])
        if pairs and pairs[-1][1] + 1 == number:  # nearly always: they come in order
            pairs[-1][1] = number
            return
        assert id_ not in self, f"I11: {id_} was executed before"
        place = bisect_right(pairs, [number + 1])
        pairs.insert(place, [number, number])
        if place + 1 < len(pairs) and pairs[place + 1][0] == number + 1:
            pairs[place][1] = pairs.pop(place + 1)[1]
        if place and pairs[place - 1][1] + 1 == number:
            pairs[place - 1][1] = pairs.pop(place)[1]

    def dump(self) -> Intervals:
        """Return the intervals."""
        return tuple(
            (replica, incarnation, tuple((low, high) for low, high in pairs))
            for (replica, incarnation), pairs in sorted(self._of.items())
        )
