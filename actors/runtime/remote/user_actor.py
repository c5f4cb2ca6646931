"""UserActor: a user's object at an address. It is the supervisor of its own incarnations.

Invariants:
U1. What a method raises is its caller's TaskError and leaves the actor as it is. What is no
    Exception (SystemExit) is a crash: it ends the incarnation.
U2. A crash uses up one of `max_restarts`; the constructor runs again with the same arguments, and
    what waited stays. A constructor that raises ends the actor for good: nothing says that it
    would not do so again.
U3. A call under way at a crash is run again `max_task_retries` times at most, then it fails with
    ActorUnavailable(maybe_executed=True); with ActorDied if the actor has ended for good.
U4. After its end every call fails with the same ActorDied (`graveyard`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, Protocol, cast

from actors.errors import ActorDied, ActorUnavailable, Cancelled
from actors.runtime.actor import Context, LoopActor, handles
from actors.runtime.effects import Effects, Reply, Stop
from actors.runtime.letter import Letter
from actors.runtime.remote.blueprint import Blueprint
from actors.runtime.remote.call_box import CallBox
from actors.runtime.remote.loop_workers import LoopWorkers
from actors.runtime.remote.messages import Begin, CancelCall, Describe, Description, Kill
from actors.runtime.remote.task_error import task_error
from actors.runtime.remote.thread_workers import ThreadWorkers
from actors.runtime.remote.workers import Workers

__all__ = ["UserActor"]

_log: Final = logging.getLogger(__name__)


class Host(Protocol):
    """The host, as a user's actor needs it."""

    def post(self, call: Callable[[], object]) -> None:
        """Have the loop's thread make a call, soon; from any thread."""

    def now_ms(self) -> int:
        """Return milliseconds of the monotonic clock."""

    def stop(self, address: str, reason: str = "shutdown") -> object:
        """End an actor for good."""


class UserActor(LoopActor):
    """Takes calls in and has workers run them. `bury(address, death)` is told of its end."""

    def __init__(
        self,
        plan: Blueprint,
        host: Host,
        bury: Callable[[str, ActorDied], None],
        *,
        begins: bool,
    ) -> None:
        self._plan = plan
        self._host = host
        self._bury = bury
        self._begins = begins
        self._restarts_left = plan.options.max_restarts
        self._box = CallBox(plan.options.max_pending, self._wake)
        self._workers: Workers = self._employ()

    def on_start(self) -> Effects:
        """Put the calls' mailbox in place and start the first incarnation."""
        self._cell.mailbox = self.actor_inbox = self._box
        if self._begins:
            self._workers.start()
        return None

    def on_stop(self) -> None:
        """End with the process, or because someone stopped the address."""
        self._end(f"{self._plan.title} was stopped", "stopped")

    def _wake(self) -> None:
        self._cell.handled += 1
        self._workers.wake()

    def _employ(self) -> Workers:
        kind = LoopWorkers if self._plan.waits else ThreadWorkers
        host = self._host
        return kind(self._plan, self._box.calls, self, host.post, host.now_ms)

    # -- messages

    @handles(Begin)
    def _begin(self, message: Begin, context: Context) -> None:
        self._workers.start()

    @handles(Describe)
    def _describe(self, message: Describe, context: Context) -> Effects:
        known = list(self._plan.methods.values())
        return [Reply(context.reply, Description(self._plan.cls.__name__, known))]

    @handles(CancelCall)
    def _cancel(self, message: CancelCall, context: Context) -> Effects:
        letter = self._box.drop(message.call, context.sender)
        if letter is None:
            return [Reply(context.reply, self._workers.cancel(message.call, context.sender))]
        letter.fail(Cancelled(f"{self._plan.title}.{letter.message.method} had not begun"))
        return [Reply(context.reply, "dropped")]

    @handles(Kill)
    def _kill(self, message: Kill, context: Context) -> Effects:
        if not message.no_restart and self._restarts_left:
            self._restart("it was killed")
            return [Reply(context.reply)]
        self._end(f"{self._plan.title} was killed", "killed")
        return [Reply(context.reply), Stop("killed")]

    # -- what the workers tell

    def not_made(self, error: BaseException) -> None:
        """End for good: the constructor raised."""
        failed = task_error(error, f"{self._plan.cls.__name__}.__init__")
        self._end(
            f"{self._plan.title} could not be made: {failed.message}", failed.remote_traceback
        )
        self._host.stop(self.address, "crash")

    def crashed(self, error: BaseException) -> None:
        """Restart, or end for good: a method raised what is no Exception."""
        why = f"{type(error).__name__}: {error}"
        _log.warning("%s crashed in %s: %s", self.address, self._workers.last_call, why)
        if self._restarts_left:
            self._restart(why)
        else:
            self._end(f"{self._plan.title} crashed: {why}", why)
            self._host.stop(self.address, "crash")

    # -- the ends of incarnations

    def _restart(self, why: str) -> None:
        if self._restarts_left > 0:
            self._restarts_left -= 1
        retries = self._plan.options.max_task_retries
        interrupted = f"{self._plan.title} was made anew: {why}"
        for letter in reversed(self._workers.end()):
            if 0 <= retries <= letter.crashes:
                letter.fail(ActorUnavailable(interrupted, maybe_executed=True))
            else:
                letter.crashes += 1
                self._box.calls.appendleft(letter)
        self._cell.incarnation += 1
        self.incarnation = self._cell.incarnation
        self._workers = self._employ()
        self._workers.start()

    def _end(self, message: str, reason: str) -> None:
        """Fail every call with one error, and have later ones get it too."""
        if self._box.closed:
            return  # it has ended already, and on_stop says so once more
        death = ActorDied(message)
        death.reason, death.last_call = reason, self._workers.last_call
        for letter in (*self._workers.end(), *self._box.drain()):
            cast(Letter, letter).fail(death)
        self._bury(self.address, death)
