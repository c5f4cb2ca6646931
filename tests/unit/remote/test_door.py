"""The door of a process: who gets a ticket, and whom it lets in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import pytest

from actors.errors import JobdError, Unauthenticated
from actors.runtime import LoopActor, LoopHost
from actors.runtime.future import LoopFuture
from actors.runtime.hello import Hello
from actors.runtime.invoke import Invoke
from actors.runtime.letter import RemoteLetter
from actors.runtime.link import Link
from actors.runtime.principal import Principal
from actors.runtime.remote import door as module
from actors.runtime.remote.door import DOOR, Door, Invitation, Invite, Visit
from actors.runtime.remote.identity import Identity
from actors.runtime.vocabulary import Vocabulary

GUEST = Principal("token", frozenset({"read"}))


class GuestsDoor(LoopActor):
    """Stands where the guest's own door is, which a host watches."""


def vocabulary() -> Vocabulary:
    made = Vocabulary([])
    made.expose(Invoke, "read")
    return made


def run(scenario: Callable[[LoopHost, Door], Awaitable[None]]) -> None:
    async def main() -> None:
        host = LoopHost()
        doors: list[Door] = []

        def make() -> Door:
            doors.append(Door(host, Identity("p-host", b"key", count(1)), vocabulary))
            return doors[0]

        host.spawn(make, DOOR)
        host.spawn(GuestsDoor, "jobd://p-guest/door")
        try:
            await scenario(host, doors[0])
        finally:
            await host.shutdown()

    asyncio.run(main())


async def invited(host: LoopHost, sender: str, principal: Principal | None) -> Invitation:
    reply: LoopFuture[Any] = LoopFuture()
    letter = RemoteLetter(Invite(), reply, sender)
    letter.principal = principal
    host.deliver(DOOR, letter)
    invitation: Invitation = await reply
    return invitation


def guest(host: LoopHost, invitation: Invitation, process: str = "p-guest") -> Link:
    return Link(
        host,
        invitation.endpoint,
        node=process,
        incarnation=1,
        vocabulary=vocabulary(),
        token=invitation.ticket,
        principal=Principal("host", frozenset()),
    )


def test_only_whom_the_node_vouches_for_is_invited() -> None:
    async def scenario(host: LoopHost, door: Door) -> None:
        with pytest.raises(Unauthenticated):
            await invited(host, "jobd://p-guest/", None)
        with pytest.raises(Unauthenticated):
            await invited(host, "", GUEST)

    run(scenario)


def test_a_ticket_is_its_guests_and_good_once() -> None:
    async def scenario(host: LoopHost, door: Door) -> None:
        invitation = await invited(host, "jobd://p-guest/", GUEST)
        assert invitation.endpoint.startswith("tcp://127.0.0.1:")
        other = LoopHost()
        forged = Invitation(invitation.endpoint, "0" * 32)
        links = [guest(other, invitation, "p-thief"), guest(other, forged)]
        try:
            for refused in links:
                with pytest.raises(JobdError, match="ticket"):
                    await refused.ready
            links.append(link := guest(other, invitation))
            assert await link.ready == "p-host"
            assert "p-guest" not in host.routes  # its host doesn't call it over this link
            assert other.routes.keys() == {"p-host"}
            with pytest.raises(Unauthenticated):
                door._admit(Hello("p-guest", 1, token=invitation.ticket, key=b"another link's"))
        finally:
            for each in links:
                each.close()

    run(scenario)


def test_a_guest_that_is_gone_is_put_out() -> None:
    async def scenario(host: LoopHost, door: Door) -> None:
        invitation = await invited(host, "jobd://p-guest/", GUEST)
        other = LoopHost()
        link = guest(other, invitation)
        try:
            await link.ready
            await host.stop("jobd://p-guest/door")  # as the node says of a process that is lost
            await asyncio.sleep(0)
            with pytest.raises(Unauthenticated):
                door._admit(Hello("p-guest", 1, token=invitation.ticket, key=b"k"))
            assert door._bound is not None and not door._bound.peers
        finally:
            link.close()

    run(scenario)


def test_a_ticket_that_is_not_used_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "VISIT_S", 0.05)

    async def scenario(host: LoopHost, door: Door) -> None:
        invitation = await invited(host, "jobd://p-guest/", GUEST)
        await asyncio.sleep(0.1)
        with pytest.raises(Unauthenticated):
            door._admit(Hello("p-guest", 1, token=invitation.ticket, key=b"k"))

    run(scenario)


@pytest.mark.parametrize(
    "endpoint", ["tcp://10.0.0.1:7800", "ipc:///tmp/x", "inproc://x", "tcp://127.0.0.1.evil:1"]
)
def test_nobody_sends_a_process_elsewhere(endpoint: str) -> None:
    async def scenario(host: LoopHost, door: Door) -> None:
        visit = Visit("p-other", Invitation(endpoint, "t"))
        assert await host.ask(DOOR, visit) is False
        assert host.routes == {}

    run(scenario)
