"""A client process of the wire's tests: `python -m tests.integration.runtime.client ENDPOINT NAME`.

It has a counter at jobd://NAME/counter and an echo of calls at jobd://NAME/echo; it takes its token
from JOBD_TOKEN.
"""

from __future__ import annotations

import asyncio
import os
import sys

import uvloop

from actors.runtime import Context, Effects, Invoke, LoopActor, LoopHost, Reply, handles
from actors.runtime.link import Link
from actors.runtime.registry import DIRECTORY_TYPES, Register
from actors.runtime.vocabulary import Vocabulary
from tests.unit.runtime.messages import Count, Counter


class Echo(LoopActor):
    """Answers a call with its first argument."""

    @handles(Invoke)
    def call(self, message: Invoke, context: Context) -> Effects:
        return [Reply(context.reply, message.args[0] if message.args else None)]


async def main(endpoint: str, name: str) -> None:
    host = LoopHost()
    host.spawn(Counter, f"jobd://{name}/counter")
    host.spawn(Echo, f"jobd://{name}/echo")
    vocabulary = Vocabulary([Count, *DIRECTORY_TYPES])
    vocabulary.expose(Count, "run")
    vocabulary.expose(Invoke, "read")
    link = Link(
        host,
        endpoint,
        node=name,
        incarnation=1,
        vocabulary=vocabulary,
        token=os.environ.get("JOBD_TOKEN", ""),
    )
    node = await link.ready
    if os.environ.get("JOBD_REGISTER"):
        await host.ask(
            f"jobd://{node}/directory", Register("echo", "default", f"jobd://{name}/echo", "Echo")
        )
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:3]))
