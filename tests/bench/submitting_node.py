"""`jobd` with an actor that submits transactions: python -m tests.bench.submitting_node start …

It is asked through a socket in the node's run directory, `bench.sock`: a line of JSON with
`at_once`, `seconds`, `value_bytes` and `count` (0: as many as there is time for) is answered by
one with `committed`, `took_s` and `latencies_ms`.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from actors import addresses
from actors.consensus_replica import SubmitTxn
from actors.core.store.txn import Committed, Txn
from actors.model import keys
from actors.runtime import Answered, Ask, Context, Effect, LoopActor, LoopHost, handles
from jobd.__main__ import main
from jobd.node.wiring.node import Node

__all__ = ["SOCKET", "Submitter"]

SOCKET = "bench.sock"
_NUMBERS = count(1)
_DEADLINE_S = 60.0
_KEYS = 10_000


class Submitter(LoopActor):
    """Keeps transactions of one value each under way for a time, or until there were enough."""

    def __init__(self, at_once: int, seconds: float, value_bytes: int, most: int) -> None:
        super().__init__()
        self._at_once = at_once
        self._until = time.perf_counter() + seconds
        self._most = most or 1 << 60
        self._value = os.urandom(value_bytes)
        self._prefix = f"{os.getpid()}-{next(_NUMBERS)}-"
        self._begun: list[float] = []
        self.latencies_ms: list[float] = []
        self.done: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def on_start(self) -> Iterator[Effect]:
        for _ in range(self._at_once):
            yield self._next()

    def _next(self) -> Effect:
        number = len(self._begun)
        self._begun.append(time.perf_counter())
        key = keys.kv("bench", f"{self._prefix}{number % _KEYS:05d}")
        txn = Txn((), ((key, self._value),), now_ms=self.clock.now_ms())
        return Ask(addresses.REPLICA, SubmitTxn(txn), number, _DEADLINE_S)

    @handles(Answered)
    def answered(self, message: Answered, context: Context) -> Iterator[Effect]:
        assert isinstance(message.value, Committed), message
        now = time.perf_counter()
        assert isinstance(message.tag, int)
        self.latencies_ms.append((now - self._begun[message.tag]) * 1e3)
        if now < self._until and len(self._begun) < self._most:
            yield self._next()
        elif len(self.latencies_ms) == len(self._begun):
            self.done.set_result(now)


async def _measure(host: LoopHost, asked: dict[str, Any]) -> dict[str, Any]:
    submitter = Submitter(
        asked["at_once"], asked["seconds"], asked["value_bytes"], asked.get("count", 0)
    )
    address = f"/bench/{next(_NUMBERS)}"
    began = time.perf_counter()
    host.spawn(lambda: submitter, address)
    took_s = await submitter.done - began
    await host.stop(address)
    found = submitter.latencies_ms
    return {"committed": len(found), "took_s": took_s, "latencies_ms": found}


async def _serve(host: LoopHost, run: Path) -> asyncio.Server:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found = await _measure(host, json.loads(await reader.readline()))
        writer.write(json.dumps(found).encode() + b"\n")
        await writer.drain()
        writer.close()

    (run / SOCKET).unlink(missing_ok=True)
    return await asyncio.start_unix_server(answer, str(run / SOCKET))


def _start(node: Node) -> None:
    start(node)
    node.serving = asyncio.ensure_future(  # type: ignore[attr-defined]
        _serve(node.host, node._directory.run)
    )


if __name__ == "__main__":
    start = Node.start
    Node.start = _start  # type: ignore[assignment,method-assign]
    main()
