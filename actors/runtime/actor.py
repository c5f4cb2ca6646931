"""Actors: state, and handlers that decide.

Rules of a handler:
1. One message at a time; nothing else touches the actor's state meanwhile.
2. It returns effects and never waits. It has no effect at all when it raises.
3. An exception is a crash, and what follows is the supervisor's policy, never the sender's choice.
   An expected error is a `Fail` effect.
4. Time, randomness and ids come from `self.clock`, `self.rng` and `self.new_id()`, so that a
   simulation repeats from its seed.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar

import pykka

from actors import limits
from actors.errors import DeadLetter
from actors.model.ids import make_id
from actors.runtime.effects import Effects, Reply, ReplyTo
from actors.runtime.future import LoopFuture
from actors.runtime.mailbox import Mailbox
from actors.runtime.principal import Principal
from actors.runtime.signals import Inspect, Ping, StreamClosed, StreamCredit

if TYPE_CHECKING:
    from actors.runtime.cell import Cell

    # Pykka's on_start returns None and ours returns effects, which no subclass could override
    # without an error; the type checker sees only what is used of Pykka's classes.
    class _PykkaActor:
        actor_urn: str
        actor_inbox: Mailbox
else:
    _PykkaActor = pykka.Actor

__all__ = ["Behaviour", "Clock", "Context", "LoopActor", "Strategy", "UnknownMessage", "handles"]

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
Handler = Callable[[Any, Any, "Context"], Any]
_F = TypeVar("_F", bound=Callable[..., Any])


class Clock(Protocol):
    """Where time comes from."""

    def now_ms(self) -> int:
        """Return the wall clock, in Unix milliseconds. It may step."""

    def monotonic_s(self) -> float:
        """Return seconds that never go back; only differences mean anything."""


class Context(Protocol):
    """What comes with a message."""

    @property
    def sender(self) -> str | None:
        """The address that sent it, if an actor did.

        Of what another process sent outside of an actor it is `jobd://<process>/`.
        """

    @property
    def principal(self) -> Principal | None:
        """What the sender's process may do; None for this process, its children and its node."""

    @property
    def reply(self) -> ReplyTo | None:
        """Where an answer goes; None for a tell."""

    @property
    def deadline_ms(self) -> int:
        """When the asker gives up, in milliseconds of `clock.monotonic_s`; 0: never."""

    @property
    def trace(self) -> str | None:
        """The W3C traceparent that it belongs to."""


class UnknownMessage(DeadLetter):
    """The actor has no handler for that type of message."""


def handles(*message_types: type) -> Callable[[_F], _F]:
    """Mark a method `(self, message, context) -> Effects` as the handler of message types."""

    def mark(function: _F) -> _F:
        function.__dict__["handles"] = message_types
        return function

    return mark


class Behaviour:
    """What loop actors and thread actors share: the handler table and what the host gives."""

    awaits: ClassVar[bool] = False  # leaf services only: handlers are coroutines
    blocks: ClassVar[bool] = False  # a thread actor; an isinstance of Pykka's ABCs costs 1 % of all
    mailbox_limit: ClassVar[int] = limits.MAILBOX_MESSAGES
    strategy: Strategy = "one_for_one"  # towards its children in the supervision tree
    _handlers: ClassVar[dict[type, Handler]] = {}

    # set by the host before on_start
    address: str
    clock: Clock
    rng: random.Random
    incarnation: int
    _cell: Cell

    # -- Pykka's hooks, alike for both kinds of actors

    def __init__(self) -> None:
        """Leave identity to the host: Pykka's own costs a uuid and a lock for each actor."""

    @staticmethod
    def _create_actor_inbox() -> Mailbox:
        return Mailbox(limits.MAILBOX_MESSAGES)

    @staticmethod
    def _create_future() -> LoopFuture[Any]:
        return LoopFuture()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._handlers = {}
        for klass in reversed(cls.__mro__):
            own: dict[type, str] = {}
            for name, member in vars(klass).items():
                for message_type in getattr(member, "__dict__", {}).get("handles", ()):
                    if message_type in own:
                        raise TypeError(f"{klass.__name__} handles {message_type.__name__} twice")
                    if inspect.iscoroutinefunction(member) and not cls.awaits:
                        raise TypeError(f"{klass.__name__}.{name} awaits; set `awaits` or don't")
                    own[message_type] = name
            cls._handlers.update({kind: getattr(cls, name) for kind, name in own.items()})

    def on_start(self) -> Effects:
        """Run before the first message of an incarnation. Raising is a crash."""
        return None

    def on_stop(self) -> None:
        """Run after the last message of an incarnation that did not crash."""

    def new_id(self) -> str:
        """Mint a time-sortable id."""
        return make_id(self.clock.now_ms(), self.rng.getrandbits(80))

    def receive(self, message: Any, context: Context) -> Effects | Awaitable[Effects]:
        """Hand a message to its handler. Raises UnknownMessage, and what the handler raises."""
        kind = message.__class__
        handler = self._handlers.get(kind)
        if handler is None:
            handler = self._inherit(kind)
        return handler(self, message, context)  # type: ignore[no-any-return]

    @handles(Ping)
    def _ping(self, message: Ping, context: Context) -> Effects:
        return [Reply(context.reply, self.incarnation)]

    @handles(Inspect)
    def _inspect(self, message: Inspect, context: Context) -> Effects:
        return [Reply(context.reply, self._cell.row())]

    @handles(StreamCredit, StreamClosed)
    def _stream(self, message: StreamCredit | StreamClosed, context: Context) -> Effects:
        """Leave it: a producer that never waits for credit needs to know neither."""
        return None

    @classmethod
    def _inherit(cls, kind: type) -> Handler:
        """Find a base type's handler and remember it for this type."""
        for base in kind.__mro__:
            handler = cls._handlers.get(base)
            if handler is not None:
                cls._handlers[kind] = handler
                return handler
        raise UnknownMessage(f"{cls.__name__} has no handler for {kind.__name__}")


class LoopActor(Behaviour, _PykkaActor):
    """An actor of which thousands share the host's one thread. Its handlers never block."""

    _cell: Cell

    def _start_actor_loop(self) -> None:
        """Do nothing: the host runs the actor's turns."""
