"""The actor that speaks with the job supervisor, and keeps the mirror of what it holds.

The mirror is what `Listing` said plus every frame since; it is empty of meaning while the link is
down. A slot that follows an attempt is told of every change of it, and of every new link, and then
compares store and supervisor anew: nothing rests on a single frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from actors import addresses
from actors.core.ports import SupervisorPort
from actors.core.supervisor_protocol import (
    Ack,
    Exited,
    Held,
    Kill,
    ListHeld,
    Listing,
    NodeFrame,
    Output,
    Refused,
    Start,
    Started,
    Welcome,
)
from actors.runtime import (
    Context,
    Effect,
    Effects,
    LoopActor,
    Tell,
    handles,
)
from actors.wakeups import Grown

__all__ = [
    "Connect",
    "Discard",
    "Follow",
    "HeldNow",
    "LinkLost",
    "SupervisorLink",
    "SupervisorReady",
    "Unfollow",
]


class Connect(msgspec.Struct, frozen=True):
    """The node's session is applied: the supervisor may be spoken to (never before, R2)."""


class LinkLost(msgspec.Struct, frozen=True):
    """The port's connection broke."""


class SupervisorReady(msgspec.Struct, frozen=True):
    """To the agent: the link is up and the mirror complete."""

    welcome: Welcome
    held: tuple[Held, ...]


class Follow(msgspec.Struct, frozen=True):
    """The sender wants `HeldNow` of this attempt, now and at every change."""

    attempt: str


class Unfollow(msgspec.Struct, frozen=True):
    """No more of it."""

    attempt: str


class HeldNow(msgspec.Struct, frozen=True):
    """What this supervisor instance holds of an attempt; None: it does not know it.

    `link` counts the links so far: what was sent on an earlier one may be lost. `masks` says
    whether the supervisor keeps secrets out of what it writes.
    """

    attempt: str
    held: Held | None
    instance: str
    link: int
    masks: bool


class Discard(msgspec.Struct, frozen=True):
    """Nobody in the store wants this attempt: end it, then forget it."""

    attempt: str


class SupervisorLink(LoopActor):
    """One per node."""

    # More frames than a supervisor queues for a node that stands still: past that it hangs up,
    # and the next link begins with a Listing. A frame that was dropped here would be missed.
    mailbox_limit = 400_000

    def __init__(self, port: SupervisorPort) -> None:
        super().__init__()
        self._port = port
        self._welcome: Welcome | None = None
        self._ready = False
        self._links = 0
        self._held: dict[str, Held] = {}
        self._followers: dict[str, str] = {}
        self._discarded: set[str] = set()

    @property
    def instance(self) -> str | None:
        """The supervisor's instance while the mirror is complete."""
        return self._welcome.instance if self._welcome is not None and self._ready else None

    # -- the link

    @handles(Connect)
    def connect(self, message: Connect, context: Context) -> Effects:
        """Open the link."""
        self._port.open()
        return None

    @handles(LinkLost)
    def link_lost(self, message: LinkLost, context: Context) -> Effects:
        """Forget the mirror and open the link again; the supervisor goes on meanwhile."""
        self._ready = False
        self._held.clear()
        self._port.open()
        return None

    @handles(Welcome)
    def welcome(self, message: Welcome, context: Context) -> Effects:
        """Ask the supervisor for everything that it holds."""
        self._welcome = message
        self._port.send(ListHeld())
        return None

    @handles(Refused)
    def refused(self, message: Refused, context: Context) -> Effects:
        """Another process of this node has said hello since: this one must not go on."""
        raise RuntimeError(f"the job supervisor refuses this node process: {message.reason}")

    @handles(Listing)
    def listing(self, message: Listing, context: Context) -> Iterator[Effect]:
        """Complete the mirror, then tell everybody."""
        if self._welcome is None:
            return  # asked for by an earlier instance of this actor
        self._held = {held.attempt: held for held in message.held}
        self._ready = True
        self._links += 1
        yield Tell(addresses.AGENT, SupervisorReady(self._welcome, message.held))
        for attempt, follower in self._followers.items():
            yield Tell(follower, self._now(attempt))
        for attempt in sorted(self._discarded):
            self._discard(attempt)

    # -- frames of one attempt

    @handles(Started)
    def started(self, message: Started, context: Context) -> Effects:
        """It runs."""
        return self._changed(message.attempt, state="running")

    @handles(Exited)
    def exited(self, message: Exited, context: Context) -> Iterator[Effect]:
        """It ended."""
        if message.attempt in self._discarded:
            self._held[message.attempt] = Held(message.attempt, 0, "exited", message.exit)
            self._discard(message.attempt)
            return
        yield Tell(addresses.WAKEUPS, Grown(message.attempt))
        yield from self._changed(message.attempt, state="exited", exit=message.exit)

    @handles(Output)
    def output(self, message: Output, context: Context) -> Effects:
        """Its log has grown."""
        return [Tell(addresses.WAKEUPS, Grown(message.attempt))]

    def _changed(self, attempt: str, **fields: Any) -> Iterator[Effect]:
        known = self._held.get(attempt) or Held(attempt, 0, "registered")
        self._held[attempt] = msgspec.structs.replace(known, **fields)
        if attempt in self._followers and self._ready:
            yield Tell(self._followers[attempt], self._now(attempt))

    def _now(self, attempt: str) -> HeldNow:
        assert self._welcome is not None, "a mirror has an instance"
        welcome = self._welcome
        held = self._held.get(attempt)
        return HeldNow(attempt, held, welcome.instance, self._links, welcome.masks_secrets)

    # -- what slots want

    @handles(Follow)
    def follow(self, message: Follow, context: Context) -> Effects:
        """Tell a slot of this attempt from now on."""
        assert context.sender is not None, "a follower is an actor"
        self._followers[message.attempt] = context.sender
        return [Tell(context.sender, self._now(message.attempt))] if self._ready else None

    @handles(Unfollow)
    def unfollow(self, message: Unfollow, context: Context) -> Effects:
        """Stop telling."""
        self._followers.pop(message.attempt, None)
        return None

    @handles(Start, Kill)
    def hand_over(self, message: Start | Kill, context: Context) -> Effects:
        """Pass a slot's wish on."""
        return self._send(message)

    @handles(Ack)
    def acknowledge(self, message: Ack, context: Context) -> Effects:
        """Let the supervisor forget an exited attempt."""
        self._held.pop(message.attempt, None)
        return self._send(message)

    @handles(Discard)
    def discard(self, message: Discard, context: Context) -> Effects:
        """End an attempt that the store does not know."""
        self._discarded.add(message.attempt)
        if self._ready:
            self._discard(message.attempt)
        return None

    def _discard(self, attempt: str) -> None:
        held = self._held.get(attempt)
        if held is not None and held.state != "exited":
            self._port.send(Kill(attempt, "superseded", 0))
            return
        self._port.send(Ack(attempt))
        self._held.pop(attempt, None)
        self._discarded.discard(attempt)

    def _send(self, frame: NodeFrame) -> Effects:
        if self._ready:
            self._port.send(frame)
        return None
