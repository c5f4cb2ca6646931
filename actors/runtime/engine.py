"""The engine: what every host does in the same way, in production and in a simulation.

It delivers letters into mailboxes, runs turns and carries out effects. A host adds where time
comes from, who runs next, how a message travels, and where work that blocks is done.

Invariants:
E1. A handler runs only in its actor's turn, one message at a time.
E2. A handler that raised has had no effect: effects are collected first, then carried out.
E3. Every ask ends: by its answer, by its deadline, or by the end of the actor asked.
E4. All state is touched by one thread, the host's.
"""

from __future__ import annotations

import logging
import os
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, TypeVar, cast

import msgspec

from actors import limits
from actors.errors import ActorUnavailable, AskTimeout, DeadLetter, JobdError, MailboxFull
from actors.runtime.actor import Clock, UnknownMessage
from actors.runtime.address import node_of
from actors.runtime.asks import ActorAsk
from actors.runtime.cell import ActorRow, AnyActor, Cell, Restart, TimerHandle
from actors.runtime.dead_letters import DeadLetterRow, DeadLetters
from actors.runtime.deadlines import Deadlines
from actors.runtime.effects import Effect, Effects, collect
from actors.runtime.entities import Entities
from actors.runtime.future import LoopFuture
from actors.runtime.interpreter import CARRY_OUT
from actors.runtime.letter import Letter, as_from_the_wire
from actors.runtime.ref import ActorRef
from actors.runtime.route import Route
from actors.runtime.stream import Stream
from actors.runtime.supervision import Supervision
from actors.runtime.thread_actor import ThreadActor
from actors.runtime.trace import CURRENT

__all__ = ["Engine", "OnFatal"]

_log: Final = logging.getLogger(__name__)
T = TypeVar("T")
OnFatal = Callable[[str, BaseException | None], None]


class Engine(ABC):
    """Actors by address, and what happens between them. Both hosts are engines."""

    def __init__(self, clock: Clock, rng: random.Random, on_fatal: OnFatal | None = None) -> None:
        self.clock = clock
        self.rng = rng
        self.cells: dict[str, Cell] = {}
        self.routes: dict[str, Route] = {}  # by process
        self.default_route: Route | None = None  # to all other processes
        self.dead_letters = DeadLetters()
        self.supervision = Supervision(self)
        self.entity_kinds = Entities(self)
        self.deadlines = Deadlines(self._call_at, self._expire)
        self._on_fatal = on_fatal
        # For tests: what an actor gets is what another process would get.
        self._is_strict = os.environ.get("JOBD_STRICT_SERIALIZE") == "1"

    # -- what a host adds

    @abstractmethod
    def call_later(
        self, delay_s: float, function: Callable[..., object], *args: Any
    ) -> TimerHandle:
        """Call a function on the host's thread after a delay."""

    @abstractmethod
    def schedule(self, cell: Cell) -> None:
        """Have `turn(cell)` run soon. The cell is not queued yet."""

    @abstractmethod
    def offload(
        self,
        actor: ThreadActor,
        work: Callable[[], Any],
        done: Callable[[Any, BaseException | None], None],
    ) -> None:
        """Do work that may block, then call `done(result, error)` on the host's thread."""

    @abstractmethod
    def await_effects(
        self,
        effects: Awaitable[Effects],
        done: Callable[[Effects, BaseException | None], None],
    ) -> TimerHandle:
        """Run a coroutine handler, then call `done(effects, error)`, also when it is cancelled."""

    def submit(self, call: Callable[[], T]) -> LoopFuture[T]:
        """Make a call on the host's thread, from any thread; return the future of its result."""
        future: LoopFuture[T] = LoopFuture()
        try:
            future.set(call())
        except Exception as error:
            future.fail(error)
        return future

    def on_host(self, call: Callable[[], T]) -> T:
        """Make a call on the host's thread and return, or raise, what it does."""
        return self.submit(call).get()

    def transmit(self, source: str, target: str, letter: Letter) -> None:
        """Carry a letter from actor to actor."""
        self.deliver(target, letter)

    def carry_answer(
        self, ask: ActorAsk, source: str, target: str, value: Any, error: BaseException | None
    ) -> None:
        """Carry an answer back to who asked."""
        ask.settle(value, error)

    # -- the door: for the host's thread

    def spawn(
        self,
        factory: Callable[[], AnyActor],
        address: str,
        *,
        restart: Restart = "permanent",
        parent: str | None = None,
    ) -> ActorRef:
        """Start an actor at an address. Raises what its constructor or `on_start` raises.

        The parent, an address, supervises it: its `strategy` says who restarts with whom, and it
        stops after its children. Raises ValueError when the address is taken, KeyError for an
        unknown parent.
        """
        if address in self.cells:
            raise ValueError(f"{address} is taken")
        above = self.supervision.root if parent is None else self.cells[parent]
        cell = self.supervision.enter(Cell(address, factory, restart, above))
        try:
            self.supervision.start(cell, first=True)
        except BaseException:
            self.supervision.terminate(cell, "crash")
            raise
        return ActorRef(self, address)

    def entities(
        self, prefix: str, factory: Callable[[str], AnyActor], *, idle_s: float = 60.0
    ) -> None:
        """Start an actor of this kind for any address with this prefix on its first message.

        It is stopped (`on_stop`, no restart) when it had no message, timer or ask for `idle_s`.
        """
        self.entity_kinds.register(prefix, factory, idle_s)

    def tell(self, address: str, message: Any, *, trace: str | None = None) -> None:
        """Send a message from outside; one that can't be delivered is a dead letter."""
        self.deliver(address, Letter(message, None, None, 0, trace))

    def ask(
        self,
        address: str,
        message: Any,
        *,
        timeout_s: float = limits.ASK_TIMEOUT_S,
        trace: str | None = None,
    ) -> LoopFuture[Any]:
        """Send a message from outside and return the future of its answer.

        It fails with AskTimeout, DeadLetter, MailboxFull or ActorDied, or as the actor says.
        """
        future: LoopFuture[Any] = LoopFuture()
        self.ask_into(future, address, message, timeout_s, trace)
        return future

    def ask_into(
        self,
        future: LoopFuture[Any],
        address: str,
        message: Any,
        timeout_s: float,
        trace: str | None,
    ) -> None:
        """Ask, with a future that exists already (a foreign thread holds it)."""
        deadline_ms = self.now_ms() + int(timeout_s * 1000)
        self.deadlines.add(future, deadline_ms)
        self.deliver(address, Letter(message, future, None, deadline_ms, trace))

    def stream(
        self,
        address: str,
        message: Any,
        *,
        credit_items: int = limits.STREAM_ITEMS,
        credit_bytes: int = limits.STREAM_BYTES,
        trace: str | None = None,
    ) -> Stream[Any]:
        """Ask for an answer of many items, and return the stream of them. It has no deadline.

        The producer is never further ahead than the credit: see `Stream` and `Outlet`.
        """
        stream: Stream[Any] = Stream(self, credit_items, credit_bytes)
        self.deliver(address, Letter(message, stream.outlet, None, 0, trace))
        stream.outlet.bind(self.cells.get(address))
        return stream

    def stop(self, address: str, reason: str = "shutdown") -> LoopFuture[None]:
        """End an actor and its children for good; the future is done when they have ended."""
        future: LoopFuture[None] = LoopFuture()
        cell = self.cells.get(address)
        if cell is None:
            future.set()
        else:
            self.supervision.terminate(cell, reason, future.set)
        return future

    def inspect(self) -> list[ActorRow]:
        """Return a row for each actor, in start order."""
        return [cell.row() for cell in self.cells.values()]

    def now_ms(self) -> int:
        """Return milliseconds of the monotonic clock, the measure of deadlines."""
        return int(self.clock.monotonic_s() * 1000)

    # -- delivery

    def nobody_at(self, address: str) -> JobdError:
        """Return what is refused with where no actor is."""
        return DeadLetter(f"no actor at {address}")

    def deliver(self, address: str, letter: Letter) -> None:
        """Put a letter into a mailbox, starting an entity for it if need be."""
        if self._is_strict:
            try:
                letter.message = as_from_the_wire(letter.message)
            except (TypeError, JobdError, msgspec.ValidationError) as error:
                self.refuse(address, letter, error)
                return
        cell = self.cells.get(address)
        if cell is None:
            route = self.routes.get(node_of(address))
            if route is None:
                cell = self.entity_kinds.activate(address)
            if cell is None:
                route = route or self.route_of(address)
                if route is not None:
                    route.carry(address, letter)
                else:
                    self.refuse(address, letter, self.nobody_at(address))
                return
        if cell.mailbox.offer(letter):
            if not cell.queued:
                self.wake(cell)
        else:
            self.refuse(address, letter, MailboxFull(f"the mailbox of {address} is full"))

    def route_of(self, address: str) -> Route | None:
        """Return the way to the process of an address, None when it is here or unknown."""
        if not self.routes and self.default_route is None:
            return None
        process = node_of(address)
        return self.routes.get(process) or (self.default_route if process else None)

    def put(self, cell: Cell, message: Any, sender: str, trace: str | None = None) -> None:
        """Put what the actor asked for itself (an answer, a timer, a signal) into its mailbox."""
        if cell.mailbox.offer(Letter(message, None, sender, 0, trace), bounded=False):
            self.wake(cell)

    def wake(self, cell: Cell) -> None:
        """Have a cell's turn run, unless it will anyway or can't now."""
        if not cell.queued and not cell.busy:
            if cell.state == "running":
                cell.queued = True
                self.schedule(cell)
            elif cell.state == "stopped" and cell.incarnation == 0:
                self.supervision.start(cell)

    def refuse(self, address: str, letter: Letter, error: BaseException, detail: str = "") -> None:
        """Fail an ask; a tell becomes a dead letter, and so does all that has a `detail`."""
        letter.fail(error)
        if letter.reply_to is None or detail:
            self.dead_letters.add(
                DeadLetterRow(
                    time_ms=self.clock.now_ms(),
                    to=address,
                    sender=letter.sender,
                    message=type(letter.message).__name__,
                    reason=getattr(error, "code", type(error).__name__),
                    detail=detail,
                )
            )

    # -- turns

    def turn(self, cell: Cell, budget: int = limits.MESSAGES_PER_TURN) -> None:
        """Run up to `budget` messages of a cell, then let others run."""
        cell.queued = False
        actor = cell.actor
        mailbox = cell.mailbox
        now_ms = 0
        traced = None
        while budget and not mailbox.empty():
            # A message may have ended, restarted or lent the actor.
            if cell.state != "running" or cell.busy or cell.actor is not actor or actor is None:
                break
            budget -= 1
            letter = cast(Letter, mailbox.get())
            if letter.deadline_ms:
                now_ms = now_ms or self.now_ms()
                if letter.deadline_ms < now_ms:
                    letter.fail(AskTimeout("its deadline passed before it ran"))
                    continue
            if letter.trace is not traced:
                traced = letter.trace
                CURRENT.set(traced)
            self._run(cell, actor, letter)
        if traced is not None:
            CURRENT.set(None)
        if not mailbox.empty():
            self.wake(cell)

    def _run(self, cell: Cell, actor: AnyActor, letter: Letter) -> None:
        """Hand one letter to its actor and carry out what it decides."""
        cell.handled += 1
        if actor.blocks:
            cell.busy = True
            self.offload(
                cast(ThreadActor, actor),
                lambda: collect(cast(Effects, actor.receive(letter.message, letter))),
                lambda effects, error: self._returned(cell, actor, letter, effects, error),
            )
            return
        try:
            effects = actor.receive(letter.message, letter)
            if effects is not None:
                if actor.awaits and isinstance(effects, Awaitable):
                    cell.busy = True
                    cell.awaiting = self.await_effects(
                        effects,
                        lambda effects, error: self._returned(cell, actor, letter, effects, error),
                    )
                    return
                if effects.__class__ is not list:
                    effects = list(cast(Iterable[Effect], effects))
                self.apply(cell, letter, cast(list[Effect], effects))
        except UnknownMessage as error:
            self.refuse(cell.address, letter, error)
        except (Exception, SystemExit) as error:
            self.supervision.crashed(cell, letter, error)

    def _returned(
        self,
        cell: Cell,
        actor: AnyActor,
        letter: Letter,
        effects: Effects,
        error: BaseException | None,
    ) -> None:
        """Go on with what a thread or a coroutine has decided."""
        if cell.actor is not actor:
            ended = f"{cell.address} ended before it answered"
            letter.fail(ActorUnavailable(ended, maybe_executed=True))
            return
        cell.busy = False
        cell.awaiting = None
        if isinstance(error, UnknownMessage):
            self.refuse(cell.address, letter, error)
        elif error is not None:
            self.supervision.crashed(cell, letter, error)
        else:
            try:
                self.apply(cell, letter, collect(effects))
            except Exception as failure:
                self.supervision.crashed(cell, letter, failure)
        if not cell.mailbox.empty():
            self.wake(cell)

    def apply(self, cell: Cell, letter: Letter, effects: list[Effect]) -> None:
        """Carry out effects in order. Raises TypeError for what is none."""
        for effect in effects:
            carry_out = CARRY_OUT.get(effect.__class__)
            if carry_out is None:
                raise TypeError(f"{effect!r} is not an effect")
            carry_out(self, cell, letter, effect)

    # -- ends

    def fatal(self, reason: str, error: BaseException | None) -> None:
        """Report that the root has no one to escalate to."""
        if self._on_fatal is not None:
            self._on_fatal(reason, error)
        else:
            _log.critical("the root supervisor gave up: %s", reason, exc_info=error)

    def _call_at(self, time_ms: int, function: Callable[[int], None], number: int) -> TimerHandle:
        return self.call_later((time_ms - self.now_ms()) / 1000, function, number)

    @staticmethod
    def _expire(waiting: LoopFuture[Any] | ActorAsk) -> None:
        waiting.settle(None, AskTimeout("no answer by the deadline"))
