"""Supervision: who is restarted, with whom, and what happens when restarts don't help.

After Erlang/OTP (https://www.erlang.org/doc/system/sup_princ.html). Invariants:
S1. An address has at most one running incarnation; a restart is a new object at the same address
    with incarnation + 1, and keeps the mailbox.
S2. Children stop before their parent and start after it; siblings stop in reverse start order.
S3. More than RESTARTS_IN_WINDOW restarts among a supervisor's children within RESTART_WINDOW_S is
    the supervisor's own crash. The root's crash is `fatal`. An entity counts for itself: too many
    and it ends, since its next message starts it from the store anew.
S4. A message that crashed its actor CRASHES_PER_MESSAGE times is a dead letter; until then the
    next incarnation gets it again.
S5. An actor that crashed has no `on_stop`.
"""

from __future__ import annotations

import logging
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from actors import limits
from actors.errors import ActorDied, ActorUnavailable
from actors.runtime.cell import AnyActor, Cell, Restart
from actors.runtime.effects import Effect, collect
from actors.runtime.entities import PASSIVATED
from actors.runtime.letter import Letter
from actors.runtime.mailbox import Mailbox
from actors.runtime.signals import Terminated
from actors.runtime.thread_actor import ThreadActor

if TYPE_CHECKING:
    from actors.runtime.actor import Strategy
    from actors.runtime.engine import Engine

__all__ = ["Supervision"]

_log: Final = logging.getLogger(__name__)
_ERROR_CHARS: Final = 256  # of a crash's error, as an actor's row shows it


class Supervision:
    """The tree of a host's cells and its rules."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.root = Cell("", _no_actor, "permanent", None)

    # -- starting

    def enter(self, cell: Cell) -> Cell:
        """Put a new cell into the directory and under its parent."""
        assert cell.parent is not None, "only the root has no parent"
        cell.mailbox = Mailbox(limits.MAILBOX_MESSAGES)
        self._engine.cells[cell.address] = cell
        if cell.parent.children is None:
            cell.parent.children = {}
        cell.parent.children[cell.address] = cell
        return cell

    def start(self, cell: Cell, *, first: bool = False) -> None:
        """Make the next incarnation. A failure is a crash, unless it is the first: it is raised."""
        engine = self._engine
        cell.state = "starting"
        cell.incarnation += 1
        cell.asking = 0
        try:
            actor = cell.factory()
            actor._cell = cell
            actor.actor_urn = actor.address = cell.address
            actor.actor_inbox = cell.mailbox
            actor.clock, actor.rng = engine.clock, engine.rng
            actor.incarnation = cell.incarnation
            cell.mailbox.limit = actor.mailbox_limit
            cell.actor = actor
            if isinstance(actor, ThreadActor):
                cell.busy = True
                engine.offload(
                    actor, lambda: collect(actor.on_start()), partial(self._started, cell, actor)
                )
                return
            effects = collect(actor.on_start())
        except (Exception, SystemExit) as error:
            if first:
                self._discard(cell)
                raise
            self.ended(cell, "crash", error)
        else:
            self._started(cell, actor, effects, None)

    def _started(
        self, cell: Cell, actor: AnyActor, effects: list[Effect] | None, error: BaseException | None
    ) -> None:
        if cell.actor is not actor:
            return  # it has been killed meanwhile
        cell.busy = False
        if cell.state != "starting":
            return  # it is to stop already
        if error is None:
            cell.state = "running"
            try:
                self._engine.apply(cell, Letter(None), effects or [])
            except Exception as failure:
                error = failure
        if error is not None:
            self.ended(cell, "crash", error)
        elif not cell.mailbox.empty():
            self._engine.wake(cell)

    # -- ending

    def crashed(self, cell: Cell, letter: Letter, error: BaseException) -> None:
        """Deal with an exception that a message caused."""
        letter.crashes += 1
        if letter.crashes >= limits.CRASHES_PER_MESSAGE:
            detail = "".join(traceback.format_exception(error))
            self._engine.refuse(cell.address, letter, error, detail)
        else:
            cell.mailbox.put_back(letter)
        self.ended(cell, "crash", error)

    def ended(self, cell: Cell, reason: str, error: BaseException | None) -> None:
        """Deal with the end of an incarnation: restart, escalate or let go."""
        if error is not None:
            _log.error("%s crashed", cell.address, exc_info=error)
            cell.last_error = f"{type(error).__name__}: {error}"[:_ERROR_CHARS]
            self._discard(cell)
        parent = cell.parent
        assert parent is not None, "the root has no incarnation that could end"
        if not _is_restarted(cell.restart, error):
            self.terminate(cell, reason)
        elif cell.entity is not None:
            if self._is_too_often(cell):
                self.terminate(cell, "crashed too often")
            else:
                self._restart([cell])
        elif self._is_too_often(parent):
            self._escalate(parent, reason, error)
        else:
            self._restart(self._group(parent, cell))

    def terminate(self, cell: Cell, reason: str, then: Callable[[], object] | None = None) -> None:
        """End a cell and all below it for good, children first, then call `then`."""
        gone = cell.subtree()[::-1]

        def forget() -> None:
            for each in gone:
                self._forget(each, reason)
            if then is not None:
                then()

        self._halt(gone, forget)

    def terminate_all(self, then: Callable[[], object]) -> None:
        """End every cell, children first, in reverse start order."""
        gone = self.root.subtree()[:0:-1]

        def forget() -> None:
            for cell in gone:
                self._forget(cell, "shutdown")
            then()

        self._halt(gone, forget)

    def kill(self, cell: Cell, error: BaseException) -> None:
        """Have a cell gone at once, as by kill -9 of its process: no on_stop, no restart."""
        self._discard(cell)
        self._forget(cell, "killed", error)

    def _escalate(self, supervisor: Cell, reason: str, error: BaseException | None) -> None:
        failure = error or ActorDied(f"its children ended too often, the last by {reason}")
        if supervisor is self.root:
            self._engine.fatal(reason, failure)
        else:
            self.ended(supervisor, "escalated", failure)

    def _is_too_often(self, supervisor: Cell) -> bool:
        now = self._engine.clock.monotonic_s()
        if supervisor.crashes is None:
            supervisor.crashes = deque()
        times = supervisor.crashes
        times.append(now)
        while times[0] < now - limits.RESTART_WINDOW_S:
            times.popleft()
        if len(times) <= limits.RESTARTS_IN_WINDOW:
            return False
        times.clear()  # a restarted supervisor begins to count anew
        return True

    def _group(self, parent: Cell, cell: Cell) -> list[Cell]:
        """Return who restarts when a child ends, in start order (entities keep out of it)."""
        strategy: Strategy = parent.actor.strategy if parent.actor is not None else "one_for_one"
        if strategy == "one_for_one":
            return [cell]
        siblings = [child for child in parent.offspring() if child.entity is None]
        return siblings if strategy == "one_for_all" else siblings[siblings.index(cell) :]

    def _restart(self, group: list[Cell]) -> None:
        cells = [each for cell in group for each in cell.subtree()]

        def start_again() -> None:
            for cell in cells:
                registered = self._engine.cells.get(cell.address) is cell
                if registered and cell.actor is None and cell.state == "stopped":
                    self.start(cell)

        self._halt(cells[::-1], start_again)

    def _halt(self, cells: list[Cell], then: Callable[[], None]) -> None:
        """Stop the actors of cells one after another, then call `then`."""
        for n, cell in enumerate(cells):
            actor = cell.actor
            if actor is None:
                cell.state = "stopped"
            elif isinstance(actor, ThreadActor):
                # Its thread may be in the middle of something: go on when it is through.
                if cell.halting is not None:
                    cell.halting.append(partial(self._halt, cells[n + 1 :], then))
                    return
                cell.state = "stopping"
                cell.halting = [partial(self._halt, cells[n + 1 :], then)]
                self._engine.offload(actor, actor.on_stop, partial(self._halted, cell, actor))
                return
            else:
                cell.state = "stopping"
                error = _failure_of(actor.on_stop)
                self._discard(cell)
                _report(cell, error)
        then()

    def _halted(
        self, cell: Cell, actor: ThreadActor, result: object, error: BaseException | None
    ) -> None:
        if cell.actor is actor:
            halting = cell.halting or []
            self._discard(cell)
            _report(cell, error)
            for go_on in halting:
                go_on()

    def _discard(self, cell: Cell) -> None:
        """Drop the present incarnation with its timers, watches and asks."""
        actor, cell.actor = cell.actor, None
        cell.state = "stopped"
        cell.busy = False
        cell.halting = None
        if cell.awaiting is not None:
            cell.awaiting.cancel()
            cell.awaiting = None
        if isinstance(actor, ThreadActor):
            actor.hand_over(None)
        for timer in (cell.timers or {}).values():
            timer.cancel()
        cell.timers = None
        for stream in list(cell.streams or ()):
            stream.lose(ActorUnavailable(f"{cell.address} ended meanwhile", maybe_executed=True))
        for address in cell.watching or ():
            watched = self._engine.cells.get(address)
            if watched is not None and watched.watchers:
                watched.watchers.pop(cell.address, None)
        cell.watching = None

    def _forget(self, cell: Cell, reason: str, error: BaseException | None = None) -> None:
        """Take a stopped cell out of the directory; fail or keep what still waits in it."""
        engine = self._engine
        if engine.cells.get(cell.address) is not cell:
            return
        del engine.cells[cell.address]
        assert cell.parent is not None and cell.parent.children is not None, "it was entered"
        cell.parent.children.pop(cell.address, None)
        engine.entity_kinds.forget(cell)
        for watcher in cell.watchers or ():
            watching = engine.cells.get(watcher)
            if watching is not None:
                if watching.watching is not None:
                    watching.watching.pop(cell.address, None)
                engine.put(watching, Terminated(cell.address, reason), cell.address)
            elif (route := engine.route_of(watcher)) is not None:
                route.carry(watcher, Letter(Terminated(cell.address, reason), None, cell.address))
        for left in cell.mailbox.drain():
            letter = cast(Letter, left)
            if reason == PASSIVATED:
                engine.deliver(cell.address, letter)
            else:
                died = error or ActorDied(f"{cell.address} ended: {reason}")
                engine.refuse(cell.address, letter, died)


def _is_restarted(restart: Restart, error: BaseException | None) -> bool:
    return restart == "permanent" or (restart == "transient" and error is not None)


def _failure_of(function: Callable[[], object]) -> BaseException | None:
    try:
        function()
    except (Exception, SystemExit) as error:
        return error
    return None


def _report(cell: Cell, error: BaseException | None) -> None:
    """Log a failed on_stop: it must not keep the others from stopping, nor be silent."""
    if error is not None:
        _log.error("on_stop of %s failed", cell.address, exc_info=error)


def _no_actor() -> AnyActor:
    raise AssertionError("the root is never started")
