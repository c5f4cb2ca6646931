"""A child process of the link tests: `python -m tests.integration.runtime.child <endpoint>`."""

from __future__ import annotations

import asyncio
import sys

from actors.runtime import LoopHost
from actors.runtime.link import Link
from actors.runtime.vocabulary import Vocabulary
from tests.unit.runtime.messages import Bang, Count, Counter, Finish


async def main(endpoint: str) -> None:
    host = LoopHost()
    host.spawn(Counter, "jobd://child/counter")
    vocabulary = Vocabulary([Bang, Count, Finish])
    link = Link(host, endpoint, node="child", incarnation=1, vocabulary=vocabulary, child=True)
    await link.ready
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
