"""A crash of one actor of the execution restarts them all, under a new session; no job notices."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from actors import addresses
from actors.core.spec import job_from_mapping
from actors.executor_slot import ExecutorSlot, SlotFree
from actors.home import Home
from actors.model import keys
from actors.runtime import Context, Effects
from actors.scheduler import Scheduler
from jobd.config import Config
from jobd.node.data_directory import NodeDirectory, new_node_id
from jobd.node.wiring.node import Node


async def started(directory: NodeDirectory) -> Node:
    node = Node(Config(), directory)
    node.start()
    while not node.gateway.health()[0]:
        await asyncio.sleep(0.01)
    return node


async def submit(node: Node, **spec: Any) -> str:
    found = job_from_mapping(
        {"name": "test", "type": "command", **spec}, now_ms=node.host.clock.now_ms()
    )
    made = await node.gateway.submit_job(
        found, principal="test", idempotency_key=None, body_hash=""
    )
    return made.job_id


async def ended(node: Node, job_id: str) -> Any:
    await node.gateway.wait_job(job_id, "terminal", 20.0)
    entry = node.state.get(keys.job(job_id))
    assert entry is not None
    return entry.noun


def crash_once(monkeypatch: pytest.MonkeyPatch, kind: type, handler: str) -> list[str]:
    """Have a handler raise at its first call; return where the crashes are noted."""
    crashes: list[str] = []
    message_type = {"slot_free": SlotFree}.get(handler)
    table: dict[type, Any] = kind._handlers  # type: ignore[attr-defined]
    key = message_type or next(k for k, f in table.items() if f.__name__ == handler)
    original = table[key]

    def crash(self: Any, message: Any, context: Context) -> Effects:
        if not crashes:
            crashes.append(handler)
            raise RuntimeError("planted")
        result: Effects = original(self, message, context)
        return result

    monkeypatch.setitem(table, key, crash)
    return crashes


@pytest.mark.parametrize(
    ("kind", "handler"),
    [
        (Scheduler, "slot_free"),
        (Scheduler, "nudge"),
        (ExecutorSlot, "held_now"),
        (ExecutorSlot, "answered"),
        (Home, "nudge"),
    ],
)
def test_jobs_end_once_whatever_crashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type, handler: str
) -> None:
    async def scenario() -> None:
        directory = NodeDirectory.open(tmp_path / "data", new_id=new_node_id())
        node = await started(directory)
        try:
            session = node.state.get(keys.session(directory.node_id))
            before = await submit(
                node, shell="sleep 0.3; echo $JOBD_ATTEMPT >>" + str(tmp_path / "a")
            )
            crashes = crash_once(monkeypatch, kind, handler)
            ids = [before] + [
                await submit(node, shell=f"echo $JOBD_ATTEMPT >>{tmp_path / str(n)}")
                for n in range(8)
            ]
            ends = [await ended(node, job_id) for job_id in ids]
            assert crashes == [handler]
            assert {(end.state, end.n) for end in ends} == {("succeeded", 1)}
            for name in ("a", *map(str, range(8))):
                assert (tmp_path / name).read_text() == "1\n"
            again = node.state.get(keys.session(directory.node_id))
            assert session is not None
            assert again is not None
            assert (again.revision > session.revision) == (kind is not Home)
            rows = {row.address: row for row in node.host.inspect()}
            assert rows[addresses.REPLICA].restarts == 0
        finally:
            await node.stop()
            directory.close()

    asyncio.run(scenario())
