"""SimHost: the same actors from a seed, under a virtual clock, with a network that fails.

There are no threads and no event loop: a heap of events, each run when its virtual time comes.
Addresses `jobd://<node>/...` say which node an actor is on. Within a node messages keep their order
for each sender and receiver; between nodes they are delayed, lost, doubled, overtaken and cut off
as `Faults` says. The work of a thread actor takes a virtual moment before and after, so that a
crash may fall between what it did and what others learn of it.

Everything that happens goes into `trace_hash`: same seed, same hash.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from actors import limits
from actors.errors import ActorUnavailable
from actors.runtime.address import node_of
from actors.runtime.asks import ActorAsk
from actors.runtime.cell import Cell, TimerHandle
from actors.runtime.effects import Effects
from actors.runtime.engine import Engine, OnFatal
from actors.runtime.faults import Faults
from actors.runtime.letter import Letter
from actors.runtime.signals import Terminated
from actors.runtime.thread_actor import ThreadActor

__all__ = ["SimClock", "SimHost"]

_START_MS: Final = 1_700_000_000_000
_LANES_KEPT: Final = 10_000
_ENCODER: Final = msgspec.msgpack.Encoder(
    enc_hook=lambda value: type(value).__qualname__, order="deterministic"
)


class SimClock:
    """Virtual time. `step_ms` moves the wall clock alone, as an operator or NTP would."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.step_ms = 0

    def now_ms(self) -> int:
        """Return virtual Unix milliseconds."""
        return _START_MS + self.step_ms + int(self.elapsed_s * 1000)

    def monotonic_s(self) -> float:
        """Return the virtual seconds since the start."""
        return self.elapsed_s


class _Event:
    """A call at a virtual time; also the handle that cancels it."""

    __slots__ = ("arguments", "function", "number", "time_s")

    def __init__(
        self, time_s: float, number: int, function: Callable[..., object], arguments: Any
    ) -> None:
        self.time_s = time_s
        self.number = number
        self.function: Callable[..., object] | None = function
        self.arguments = arguments

    def __lt__(self, other: _Event) -> bool:
        return (self.time_s, self.number) < (other.time_s, other.number)

    def cancel(self) -> None:
        """Have nothing happen."""
        self.function = None


class SimHost(Engine):
    """All nodes of a simulated cluster in one object."""

    clock: SimClock

    def __init__(
        self, seed: int, *, faults: Faults | None = None, on_fatal: OnFatal | None = None
    ) -> None:
        super().__init__(SimClock(), _seeded(seed, "actors"), on_fatal)
        self.faults = faults or Faults()
        self._chance = _seeded(seed, "world")
        self._events: list[_Event] = []
        self._count = 0
        self._last_s: dict[tuple[str, str], float] = {}
        self._cuts: set[frozenset[str]] = set()
        self._trace = hashlib.blake2b(digest_size=16)

    # -- driving it

    @property
    def trace_hash(self) -> str:
        """Digest of everything that has happened so far, in order."""
        return self._trace.hexdigest()

    def step(self) -> bool:
        """Run the next event; False when there is none."""
        while self._events:
            event = heapq.heappop(self._events)
            if event.function is not None:
                self.clock.elapsed_s = event.time_s
                event.function(*event.arguments)
                return True
        return False

    def run_until(self, condition: Callable[[], bool] | float, *, limit_s: float = 3600) -> bool:
        """Run until a condition holds, or to a virtual time (seconds since the start).

        Returns whether the condition holds; False when nothing is left to happen or `limit_s`
        more virtual seconds have gone by.
        """
        if not callable(condition):
            while self._events and self._events[0].time_s <= condition:
                self.step()
            self.clock.elapsed_s = max(self.clock.elapsed_s, condition)
            return True
        end_s = self.clock.elapsed_s + limit_s
        while not condition():
            if not self._events or self._events[0].time_s > end_s:
                return False
            self.step()
        return True

    def run_for(self, duration_s: float) -> None:
        """Run for some virtual seconds."""
        self.run_until(self.clock.elapsed_s + duration_s)

    def call(self, address: str, message: Any, *, timeout_s: float = limits.ASK_TIMEOUT_S) -> Any:
        """Ask, run until the answer is there, and return it or raise its error."""
        future = self.ask(address, message, timeout_s=timeout_s)
        self.run_until(lambda: future.done)
        return future.get(timeout=0)

    # -- what an adversary does

    def crash(self, prefix: str) -> None:
        """Kill every actor whose address begins so, as by kill -9: no on_stop, no restart.

        Messages that are on their way to it are lost; those it sent arrive. Actors elsewhere that
        watch one of them hear so after `faults.detect_s`.
        """
        self._note("crash", "", prefix, None)
        self.entity_kinds.unregister(prefix)
        killed = [cell for address, cell in self.cells.items() if address.startswith(prefix)]
        for cell in killed[::-1]:
            watchers, cell.watchers = cell.watchers, None
            self.supervision.kill(cell, ActorUnavailable("its node crashed", maybe_executed=True))
            for watcher in watchers or ():
                if not watcher.startswith(prefix):
                    self.call_later(self.faults.detect_s, self._tell_end, watcher, cell.address)

    def partition(self, *groups: set[str]) -> None:
        """Cut the network: nodes of different groups don't reach each other."""
        self._note("partition", "", repr([sorted(group) for group in groups]), None)
        for n, group in enumerate(groups):
            for other in groups[n + 1 :]:
                self._cuts.update(frozenset((a, b)) for a in group for b in other)

    def heal(self) -> None:
        """Undo all cuts."""
        self._note("heal", "", "", None)
        self._cuts.clear()

    # -- what the engine needs

    def call_later(
        self, delay_s: float, function: Callable[..., object], *args: Any
    ) -> TimerHandle:
        """Call a function after a virtual delay."""
        return self._push(self.clock.elapsed_s + max(0.0, delay_s), function, *args)

    def _push(self, time_s: float, function: Callable[..., object], *args: Any) -> _Event:
        self._count += 1
        event = _Event(time_s, self._count, function, args)
        heapq.heappush(self._events, event)
        return event

    def schedule(self, cell: Cell) -> None:
        """Have one message of a cell handled after a short while, so that cells interleave."""
        self.call_later(self._chance.uniform(0, self.faults.turn_s), self._turn, cell)

    def _turn(self, cell: Cell) -> None:
        self._note("turn", "", cell.address, None)
        self.turn(cell, 1)

    def offload(
        self,
        actor: ThreadActor,
        work: Callable[[], Any],
        done: Callable[[Any, BaseException | None], None],
    ) -> None:
        """Do the work in one go, some time later; a crash meanwhile leaves it out."""
        cell = actor._cell
        lane = (cell.address, "thread")  # one thread: its work and its results keep their order

        def run() -> None:
            if cell.actor is not actor:
                return
            result, failure = None, None
            try:
                result = work()
            except (Exception, SystemExit) as error:
                failure = error
            self._note("work", cell.address, "", failure)
            done_s = self._in_order(lane, self._chance.uniform(0, self.faults.work_s))
            self._push(done_s, done, result, failure)

        self._push(self._in_order(lane, self._chance.uniform(0, self.faults.work_s)), run)

    def await_effects(
        self,
        effects: Awaitable[Effects],
        done: Callable[[Effects, BaseException | None], None],
    ) -> TimerHandle:
        """Refuse: what awaits the outside world can't repeat from a seed."""
        raise TypeError("a simulation runs no coroutine handlers; put a stand-in at that address")

    def transmit(self, source: str, target: str, letter: Letter) -> None:
        """Carry a letter, as the network of the moment lets it."""
        for delay_s in self._journeys(source, target):
            self._at_arrival(source, target, delay_s, self.deliver, target, letter)

    def carry_answer(
        self, ask: ActorAsk, source: str, target: str, value: Any, error: BaseException | None
    ) -> None:
        """Carry an answer likewise."""
        for delay_s in self._journeys(source, target):
            self._at_arrival(source, target, delay_s, ask.settle, value, error)

    def deliver(self, address: str, letter: Letter) -> None:
        """Put a letter into a mailbox."""
        self._note("deliver", letter.sender or "", address, letter.message)
        super().deliver(address, letter)

    def _journeys(self, source: str, target: str) -> list[float]:
        """Return the delay of each copy that arrives."""
        faults, chance = self.faults, self._chance
        here, there = node_of(source), node_of(target)
        if here == there:
            return [chance.uniform(0, faults.local_s)]
        if frozenset((here, there)) in self._cuts or chance.random() < faults.drop:
            self._note("lost", source, target, None)
            return []
        copies = 2 if chance.random() < faults.duplicate else 1
        return [chance.uniform(faults.min_delay_s, faults.max_delay_s) for _ in range(copies)]

    def _at_arrival(
        self, source: str, target: str, delay_s: float, function: Callable[..., object], *args: Any
    ) -> None:
        """Call a function when a message arrives; in order, unless the network reorders."""
        if node_of(source) != node_of(target) and self._chance.random() < self.faults.reorder:
            self._push(self.clock.elapsed_s + delay_s, function, *args)
        else:
            self._push(self._in_order((source, target), delay_s), function, *args)

    def _in_order(self, lane: tuple[str, str], delay_s: float) -> float:
        """Return a time after the delay that is not before the lane's last one."""
        now_s, last_s = self.clock.elapsed_s, self._last_s
        if len(last_s) > _LANES_KEPT:
            self._last_s = last_s = {k: v for k, v in last_s.items() if v > now_s}
        last_s[lane] = time_s = max(now_s + delay_s, last_s.get(lane, 0.0))
        return time_s

    def _tell_end(self, watcher: str, address: str) -> None:
        cell = self.cells.get(watcher)
        if cell is not None:
            self.put(cell, Terminated(address, "killed"), address)

    def _note(self, what: str, source: str, target: str, message: Any) -> None:
        """Add to the trace: time, what, who, and the contents as far as they can be encoded."""
        try:
            body = _ENCODER.encode(message)
        except (TypeError, ValueError, OverflowError):
            body = type(message).__qualname__.encode()
        line = f"{self.clock.elapsed_s!r} {what} {source} {target} {type(message).__qualname__} "
        self._trace.update(line.encode() + body)


def _seeded(seed: int, use: str) -> random.Random:
    return random.Random(f"{seed}/{use}")  # noqa: S311  # a simulation must repeat
