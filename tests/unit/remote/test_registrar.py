"""The registrar: every name comes back, however many there are."""

from __future__ import annotations

import asyncio

from actors.directory import Directory
from actors.runtime import LoopActor, LoopHost
from actors.runtime.registry import ListActors, Register
from actors.runtime.remote.registrar import REGISTRAR, RegisterAll, Registrar

NAMES = 3_000  # more than a mailbox takes, or a peer may be asked at once


class Named(LoopActor):
    """Has a name, and does nothing."""


def test_more_names_than_a_mailbox_takes_are_all_registered() -> None:
    async def main() -> None:
        host = LoopHost()
        host.spawn(Directory, "/directory")
        own = [
            Register(f"n{n:04}", "default", f"jobd://p/actor/{n}", "Named") for n in range(NAMES)
        ]
        for each in own:
            host.spawn(Named, each.address)
        host.spawn(lambda: Registrar("/directory", lambda: own), REGISTRAR)
        host.tell(REGISTRAR, RegisterAll())
        async with asyncio.timeout(10):
            while not (await host.ask("/directory", ListActors(f"n{NAMES - 1}"))).entries:
                await asyncio.sleep(0.05)
        assert (await host.ask("/directory", ListActors("n1500"))).entries
        await host.shutdown()

    asyncio.run(main())
