"""A cell: what the host knows of one address. It outlives the incarnations of its actor."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Literal, NamedTuple, Protocol, TypeAlias

from actors.runtime.actor import LoopActor
from actors.runtime.mailbox import Mailbox
from actors.runtime.thread_actor import ThreadActor

__all__ = ["ActorRow", "AnyActor", "Cell", "Closing", "Restart", "State", "TimerHandle"]

AnyActor: TypeAlias = LoopActor | ThreadActor
Restart = Literal["permanent", "transient", "temporary"]
State = Literal["starting", "running", "stopping", "stopped"]


class TimerHandle(Protocol):
    """An armed timer, or a coroutine under way."""

    def cancel(self) -> object:
        """Have it not happen."""


class Closing(Protocol):
    """What ends with the actor that it was asked of."""

    def lose(self, error: BaseException) -> None:
        """Tell who waits for it."""


class ActorRow(NamedTuple):
    """One row of `inspect()`."""

    address: str
    cls: str
    mailbox: int
    handled: int
    restarts: int
    state: State
    incarnation: int
    parent: str = ""  # the root's is ""
    seconds: float = 0.0  # in its handlers, over all incarnations
    last_error: str = ""  # what the last restart was for


class Cell:
    """One address: its mailbox, its present actor and its place in the supervision tree."""

    __slots__ = (
        "actor",
        "address",
        "asking",
        "awaiting",
        "busy",
        "children",
        "crashes",
        "entity",
        "factory",
        "halting",
        "handled",
        "incarnation",
        "last_error",
        "mailbox",
        "parent",
        "queued",
        "restart",
        "seconds",
        "state",
        "streams",
        "timers",
        "watchers",
        "watching",
    )

    def __init__(
        self, address: str, factory: Callable[[], AnyActor], restart: Restart, parent: Cell | None
    ) -> None:
        self.address = address
        self.factory = factory
        self.restart = restart
        self.parent = parent
        self.actor: AnyActor | None = None
        self.mailbox: Mailbox
        self.state: State = "stopped"
        self.incarnation = 0
        self.handled = 0
        self.seconds = 0.0  # in its handlers
        self.last_error = ""
        self.asking = 0  # its own asks that have no answer yet
        self.queued = False  # in the run queue
        self.busy = False  # a thread or a coroutine has a message of it
        self.awaiting: TimerHandle | None = None  # the coroutine that it is busy with
        self.entity: str | None = None  # the prefix of its kind
        # Most actors have none of these, so they are made when needed.
        self.children: dict[str, Cell] | None = None  # in start order
        self.timers: dict[Hashable, TimerHandle] | None = None
        self.streams: dict[Closing, None] | None = None  # it has been asked for, and not ended
        self.watchers: dict[str, None] | None = None
        self.watching: dict[str, None] | None = None
        self.halting: list[Callable[[], None]] | None = None  # who waits for its on_stop
        self.crashes: deque[float] | None = None  # times of its children's restarts, as supervisor

    def offspring(self) -> list[Cell]:
        """Return its children in start order."""
        return list(self.children.values()) if self.children else []

    def subtree(self) -> list[Cell]:
        """Return the cell and all below it, parents before children, in start order."""
        cells = [self]
        for child in self.offspring():
            cells.extend(child.subtree())
        return cells

    def is_idle(self) -> bool:
        """Say whether nothing is under way here: no message, timer, ask or child."""
        return (
            self.state == "running"
            and not (self.busy or self.timers or self.asking or self.children or self.streams)
            and self.mailbox.empty()
        )

    def row(self) -> ActorRow:
        """Return what an operator sees of it."""
        return ActorRow(
            address=self.address,
            cls=type(self.actor).__name__ if self.actor is not None else "",
            mailbox=len(self.mailbox),
            handled=self.handled,
            restarts=max(0, self.incarnation - 1),
            state=self.state,
            incarnation=self.incarnation,
            parent=self.parent.address if self.parent is not None else "",
            seconds=self.seconds,
            last_error=self.last_error,
        )
