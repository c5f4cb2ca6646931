"""The history of a simulated machine: a process that stores batches, dies, and answers late."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from actors.core.history import Batch, EndedJob, EndedTask, Happened, Position, read_items
from actors.core.history_port import ReadRange, Where, Write
from actors.errors import Unavailable
from actors.history import HistoryLost, Stored
from actors.runtime import SimHost

__all__ = ["SimHistory", "SimHistoryPort"]

_ANSWER_S = (0.001, 0.5)
_DEATHS = 0.1  # of questions


class SimHistory:
    """What is durable of it. `has` counts what was stored, by what it is."""

    def __init__(self) -> None:
        self.is_down = False
        self.position = Position()
        self.has: Counter[tuple[object, ...]] = Counter()

    def take(self, message: Where | Write) -> Position:
        """Do what the writer does: a batch only where history ends, with its position."""
        if isinstance(message, Write) and message.batch.after == self.position:
            for item in read_items(message.batch):
                match item:
                    case EndedJob():
                        self.has["job", item.id] += 1
                    case EndedTask():
                        self.has["task", item.job_id, item.index] += 1
                    case Happened(event):
                        self.has["event", event.revision, event.k] += 1
            self.position = message.batch.position
        return self.position


class SimHistoryPort:
    """A HistoryPort of one node process. The history may die before or after it has stored."""

    def __init__(
        self,
        history: SimHistory,
        host: SimHost,
        rng: random.Random,
        tell: Callable[[Stored | HistoryLost], None],
    ) -> None:
        self._history = history
        self._host = host
        self._rng = rng
        self._tell = tell
        self._killed = False

    def send(self, message: Where | Write) -> None:
        """Have it done, and answered, in a moment."""
        self._host.call_later(self._rng.uniform(*_ANSWER_S), self._arrives, message)

    def read(
        self,
        message: ReadRange,
        answer: Callable[[Batch], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Fail: what is stored here is only counted."""
        failed(Unavailable("a simulated history is not read"))

    def _arrives(self, message: Where | Write) -> None:
        if self._rng.random() < _DEATHS or self._history.is_down:
            self._answer(HistoryLost("it died"))
            return
        position = self._history.take(message)
        lost = self._rng.random() < _DEATHS
        answer = HistoryLost("it died behind it") if lost else Stored(position)
        self._host.call_later(self._rng.uniform(*_ANSWER_S), self._answer, answer)

    def _answer(self, answer: Stored | HistoryLost) -> None:
        if not self._killed:
            self._tell(answer)

    def kill(self) -> None:
        """The node is dead: nobody hears answers any more. What arrives is still done."""
        self._killed = True
