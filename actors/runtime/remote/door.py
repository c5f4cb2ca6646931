"""The door of a process: direct links with other processes of the same machine.

A call through the node costs four more hops between threads and processes, so two processes that
talk link up directly; Ray's workers do the same. Rules:
D1. A guest asks for an invitation through the node, which vouches for who it is (name and scopes);
    the invitation's ticket lets that process in as that principal, once, within VISIT_S.
D2. A direct link is for the guest's calls. The guest takes its host for nobody: what the host
    itself wants of the guest goes through the node.
D3. Either side ends the link when the node says that the other one is gone, so a token that was
    revoked or ran out ends it too.
D4. Without a direct link everything works, through the node; whether there is one is settled before
    the first call to a process, so that calls keep their order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from actors import limits
from actors.errors import Busy, JobdError, Unauthenticated
from actors.runtime.actor import Context, LoopActor, handles
from actors.runtime.address import SCHEME, node_of
from actors.runtime.effects import After, Effects, Fail, Reply, ReplyTo, Watch
from actors.runtime.engine import Engine
from actors.runtime.hello import Hello
from actors.runtime.link import Link
from actors.runtime.principal import Principal
from actors.runtime.remote.identity import Identity
from actors.runtime.signals import Terminated
from actors.runtime.vocabulary import Vocabulary

__all__ = ["DOOR", "Door", "Invitation", "Invite", "Visit"]

DOOR: Final = "/door"
_LOOPBACK: Final = "tcp://127.0.0.1:"
_TICKET_BITS: Final = 128
VISIT_S: Final = 2.0  # a host that doesn't answer within it is called through the node
_NOBODY: Final[frozenset[str]] = frozenset()


class Invite(msgspec.Struct, frozen=True):
    """Ask a process for an `Invitation`."""


class Invitation(msgspec.Struct, frozen=True):
    """Where to link up, and the ticket to say hello with."""

    endpoint: str
    ticket: str


class Visit(msgspec.Struct, frozen=True):
    """Link up with a process that has sent an invitation; answered when calls go there directly.

    It is answered with False when they will go through the node.
    """

    process: str
    invitation: Invitation


class _TakeBack(msgspec.Struct, frozen=True):
    """A ticket that has not been used by now is no longer good."""

    ticket: str


class _Guest:
    """Who has a ticket, and by which link it was used."""

    __slots__ = ("key", "principal", "process")

    def __init__(self, process: str, principal: Principal) -> None:
        self.process = process
        self.principal = principal
        self.key: bytes | None = None


class Door(LoopActor):
    """Lets guests in, and goes as a guest to others. `vocabulary()` makes a link's vocabulary."""

    def __init__(
        self, engine: Engine, identity: Identity, vocabulary: Callable[[], Vocabulary]
    ) -> None:
        self._engine = engine
        self._identity = identity
        self._vocabulary = vocabulary
        self._bound: Link | None = None
        self._tickets: dict[str, _Guest] = {}  # by ticket
        self._visits: dict[str, Link] = {}  # by process
        self._tasks: set[asyncio.Task[None]] = set()

    def on_stop(self) -> None:
        """Close every direct link."""
        for link in (*self._visits.values(), *((self._bound,) if self._bound else ())):
            link.close()
        for task in self._tasks:
            task.cancel()

    # -- as the host

    @handles(Invite)
    def _invite(self, message: Invite, context: Context) -> Effects:
        guest, principal = node_of(context.sender or ""), context.principal
        if principal is None or not guest:
            return [Fail(context.reply, Unauthenticated("only the node vouches for a guest"))]
        if len(self._tickets) >= limits.CLIENTS:
            return [Fail(context.reply, Busy(f"{limits.CLIENTS} guests"))]
        if self._bound is None:
            self._bound = Link(
                self._engine,
                f"{_LOOPBACK}*",
                node=self._identity.process,
                incarnation=next(self._identity.incarnations),
                vocabulary=self._vocabulary(),
                admit=self._admit,
                calls_back=False,
            )
        ticket = f"{self.rng.getrandbits(_TICKET_BITS):032x}"
        self._tickets[ticket] = _Guest(guest, principal)
        return [
            Watch(_door_of(guest)),
            After(VISIT_S, _TakeBack(ticket), key=ticket),
            Reply(context.reply, Invitation(self._bound.endpoint, ticket)),
        ]

    @handles(_TakeBack)
    def _take_back(self, message: _TakeBack, context: Context) -> None:
        guest = self._tickets.get(message.ticket)
        if guest is not None and guest.key is None:
            del self._tickets[message.ticket]

    def _admit(self, hello: Hello) -> Principal:
        """Let in who has a ticket, also at each heartbeat; only the link that used it first."""
        guest = self._tickets.get(hello.token)
        if guest is None or guest.process != hello.node or guest.key not in (None, hello.key):
            raise Unauthenticated("no such ticket")
        guest.key = hello.key
        return guest.principal

    # -- as a guest

    @handles(Visit)
    def _visit(self, message: Visit, context: Context) -> Effects:
        host, invitation = message.process, message.invitation
        if host in self._visits:
            return [Reply(context.reply, True)]
        if not invitation.endpoint.startswith(_LOOPBACK):
            return [Reply(context.reply, False)]  # nobody sends this process to other machines
        # Watched through the node, which knows first when it is gone.
        self._engine.call_later(0, self._link_up, host, invitation, context.reply)
        return [Watch(_door_of(host))]

    def _link_up(self, host: str, invitation: Invitation, reply: ReplyTo) -> None:
        link = self._visits[host] = Link(
            self._engine,
            invitation.endpoint,
            node=self._identity.process,
            incarnation=next(self._identity.incarnations),
            vocabulary=self._vocabulary(),
            token=invitation.ticket,
            key=self._identity.key,
            principal=Principal(host, _NOBODY),
        )
        task = asyncio.get_running_loop().create_task(self._arrive(host, link, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _arrive(self, host: str, link: Link, reply: ReplyTo) -> None:
        try:
            await asyncio.wait_for(_ready(link), VISIT_S)
        except (TimeoutError, JobdError):
            self._leave(host, "it doesn't answer directly")
            reply.set(False)
        else:
            reply.set(True)

    # -- the end

    @handles(Terminated)
    def _gone(self, message: Terminated, context: Context) -> Effects:
        process = node_of(message.address)
        for ticket in [each for each, guest in self._tickets.items() if guest.process == process]:
            del self._tickets[ticket]
        if self._bound is not None:
            self._bound.lose(process, message.reason)
        self._leave(process, message.reason)
        return None

    def _leave(self, host: str, reason: str) -> None:
        link = self._visits.pop(host, None)
        if link is not None:
            link.lose(host, reason)  # before its end, which would be the reason else
            link.close()


def _door_of(process: str) -> str:
    return f"{SCHEME}{process}{DOOR}"


async def _ready(link: Link) -> None:
    await link.ready
