"""What the image on disk lacks of the applied state, and when it is handed to the image writer."""

from __future__ import annotations

from collections.abc import Iterable

from actors.core.consensus.group import Group
from actors.core.ports import Row
from actors.core.store.state import State
from actors.core.store.txn import Op
from actors.image_writer import WriteImage
from actors.model.event import Event

__all__ = ["ImageBacklog"]


class ImageBacklog:
    """Rows and events that are not in the image; one hand-over at a time.

    `moved`: commands were executed since, whether or not they changed anything: what the image says
    of consensus is how far this node can be a donor, and lets the others drop commands.
    """

    def __init__(self, rows: dict[str, Row], events: list[Event], *, moved: bool = False) -> None:
        self._rows = rows
        self._events = events
        self._moved = moved
        self._writing: WriteImage | None = None

    def __bool__(self) -> bool:
        return bool(self._moved or self._rows or self._events)

    @property
    def is_writing(self) -> bool:
        """Whether a hand-over has no answer yet."""
        return self._writing is not None

    def executed(self) -> None:
        """Note that a command was executed."""
        self._moved = True

    def changed(self, ops: Iterable[Op], revision: int) -> None:
        """Note what a commit changed."""
        for key, value in ops:
            self._rows[key] = Row(key, revision, value)

    def emitted(self, events: Iterable[Event]) -> None:
        """Note what was emitted."""
        self._events.extend(events)

    def hand_over(self, state: State, group: Group) -> WriteImage:
        """Return all of it, with what the image says beside it: all of this moment."""
        self._writing = WriteImage(
            rows=tuple(self._rows.values()),
            events=tuple(self._events),
            applied_index=group.log_floor,
            revision=state.revision,
            sessions=state.sessions.dump(),
            position=group.position(),
            executed=group.index,
        )
        self._rows, self._events, self._moved = {}, [], False
        return self._writing

    def written(self) -> None:
        """Take that the hand-over is in the image."""
        self._writing = None

    def take_back(self) -> None:
        """Have what was refused again, below what has changed since."""
        refused, self._writing = self._writing, None
        if refused is not None:
            self._rows = {row.key: row for row in refused.rows} | self._rows
            self._events = [*refused.events, *self._events]
            self._moved = True
