"""The connection of this process to a node, over which others reach its actors and it theirs."""

from __future__ import annotations

import asyncio

from actors.errors import InvalidInput, JobdError
from actors.runtime.engine import Engine
from actors.runtime.invoke import Invoke
from actors.runtime.link import Link
from actors.runtime.remote.messages import CancelCall, Describe, Description, Kill
from actors.runtime.remote.ref import Ref
from actors.runtime.vocabulary import Vocabulary

__all__ = ["Connection"]


def _vocabulary() -> Vocabulary:
    vocabulary = Vocabulary([CancelCall, Describe, Description, Kill])
    vocabulary.expose(Invoke, "read")  # the blueprint knows what its methods need
    vocabulary.expose(CancelCall, "run")
    vocabulary.expose(Describe, "read")
    vocabulary.expose(Kill, "run")
    return vocabulary


class Connection:
    """A link of this process as a client. `open` and `close` are for the loop's thread."""

    def __init__(self, engine: Engine, process: str, endpoint: str, token: str) -> None:
        if not endpoint.startswith(("tcp://", "ipc://")):
            raise InvalidInput(
                f"{endpoint[:80]!r} is no address of a node",
                remedy="It begins with tcp://, for example tcp://127.0.0.1:7800.",
            )
        self.endpoint = endpoint
        self._engine = engine
        self._process = process
        self._token = token
        self._link: Link | None = None
        self._opening: asyncio.Task[None] | None = None
        self.node = ""

    def open(self, opened: Ref[str]) -> None:
        """Say hello; the ref gets the node's id, or why it wants no such process."""
        self._link = Link(
            self._engine,
            self.endpoint,
            node=self._process,
            incarnation=1,
            vocabulary=_vocabulary(),
            token=self._token,
        )
        self._opening = asyncio.get_running_loop().create_task(self._greet(self._link, opened))

    async def _greet(self, link: Link, opened: Ref[str]) -> None:
        try:
            self.node = await link.ready
        except JobdError as error:
            self.close()
            opened.fail(error)
        else:
            opened.set(self.node)

    def close(self) -> None:
        """Say good-bye: who calls actors of this process is told at once."""
        if self._link is not None:
            link, self._link = self._link, None
            link.close()
            self._engine.default_route = None
