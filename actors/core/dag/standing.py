"""Where a run stands: the records of its steps, read from a view or kept from the feed."""

from __future__ import annotations

from collections import Counter

from actors.core.view import View
from actors.model import keys
from actors.model.run import STEP_TERMINAL, Step

__all__ = ["Census", "Standing", "standing_of"]


class Census:
    """The members of one mapped step: how many there are by state, and which are open."""

    def __init__(self) -> None:
        self.states: Counter[str] = Counter()
        self.open: dict[int, Step] = {}
        self.warned = 0

    def copy(self) -> Census:
        """Return one to count on with."""
        other = Census()
        other.states, other.open, other.warned = self.states.copy(), dict(self.open), self.warned
        return other

    @property
    def made(self) -> int:
        """Members that exist: they are made in the order of their list."""
        return self.states.total()

    def take(self, index: int, before: Step | None, after: Step) -> None:
        """Take in one change of a member; `before` is None for a new one."""
        if before is not None:
            self.states[before.state] -= 1
        self.states[after.state] += 1
        self.warned += after.warned
        if after.state in STEP_TERMINAL:
            self.open.pop(index, None)
        else:
            self.open[index] = after


class Standing:
    """The records of a run's steps."""

    def __init__(self) -> None:
        self.steps: dict[str, Step] = {}
        self.members: dict[str, Census] = {}
        self.reuse: dict[str, Step] | None = None  # of a rerun, once it was reckoned

    def take(self, key: str, step: Step) -> None:
        """Take in a record as it is now. A member that has ended stays so, however often told."""
        _, name, index = keys.step_parts(key)
        if index is None:
            self.steps[name] = step
            return
        census = self.members.setdefault(name, Census())
        before = census.open.get(index)
        if before is not None:
            census.take(index, before, step)
        elif index >= census.made:
            census.take(index, None, step)


def standing_of(view: View, run_id: str) -> Standing:
    """Read where a run stands in a view."""
    standing = Standing()
    for key, entry in view.scan(keys.steps_of(run_id)):
        standing.take(key, entry.noun)
    return standing
