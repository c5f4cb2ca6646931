"""The API's actor: who may, how much at once, and streams that end with their reader."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors import addresses, limits
from actors.errors import ActorUnavailable, Busy
from actors.runtime import LoopHost
from jobd.api.message import ApiReply, ApiRequest
from jobd.node.door import ApiDoor
from tests.unit.http.memory_gateway import MemoryGateway

SPEC = b"{name: t, type: command, cmd: 'true'}"


class House:
    """A door in this process: whoever asks here is local."""

    def __init__(self) -> None:
        self.gateway = MemoryGateway()
        self.host = LoopHost()
        self.host.spawn(lambda: ApiDoor(self.gateway, lambda: self.gateway.now_ms), addresses.API)

    async def ask(self, operation: str, **fields: Any) -> ApiReply:
        reply: ApiReply = await self.host.ask(addresses.API, ApiRequest(operation, **fields))
        return reply


def test_an_answer_has_the_headers_of_http() -> None:
    async def ask() -> None:
        house = House()
        made = await house.ask("submit_job", body=SPEC, headers={"Idempotency-Key": "k"})
        assert made.status == 202
        assert made.headers["Location"].startswith("/api/v1/jobs/")
        again = await house.ask("submit_job", body=SPEC, headers={"Idempotency-Key": "k"})
        assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
        job = await house.ask("get_job", params={"id": made.headers["Location"][13:]})
        assert job.headers["ETag"]
        assert int(job.headers["X-JobD-Revision"]) > 0
        refused = await house.ask("list_jobs", query=(("limit", "0"),))
        assert (refused.status, refused.headers["Content-Type"]) == (
            400,
            "application/problem+json",
        )
        await house.host.shutdown()

    asyncio.run(ask())


def test_a_bug_of_a_handler_is_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    async def ask() -> None:
        house = House()
        house.gateway.broken = ZeroDivisionError("secret")
        reply = await house.ask("submit_job", body=SPEC)
        assert reply.status == 500
        assert b"secret" not in reply.body
        assert (await house.ask("get_status")).status == 200
        await house.host.shutdown()

    asyncio.run(ask())
    assert "secret" in caplog.text


def test_too_many_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DOOR_REQUESTS", 2)

    async def ask() -> None:
        house = House()
        made = await house.ask("submit_job", body=SPEC)
        params = {"id": made.headers["Location"][13:]}
        query = (("wait", "1s"),)
        waiting = [
            asyncio.ensure_future(house.ask("get_job", params=params, query=query))
            for _ in range(2)
        ]
        await asyncio.sleep(0.05)
        with pytest.raises(Busy, match="DOOR_REQUESTS"):
            await house.ask("get_status")
        assert [reply.status for reply in await asyncio.gather(*waiting)] == [200, 200]
        await house.host.shutdown()

    asyncio.run(ask())


def test_a_stream_ends_with_its_reader() -> None:
    async def read() -> None:
        house = House()
        stream: Any = house.host.stream(addresses.API, ApiRequest("stream_events"))
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.05)
        await house.ask("emit_event", body=b'{"type": "a"}')
        ((event, _, data),) = await first
        assert (event, b'"a"' in data) == ("event", True)
        before = len(asyncio.all_tasks())
        await stream.aclose()
        await asyncio.sleep(0.05)
        assert len(asyncio.all_tasks()) == before - 1
        await house.host.shutdown()

    asyncio.run(read())


def test_who_waits_hears_that_the_node_stops() -> None:
    async def ask() -> None:
        house = House()
        made = await house.ask("submit_job", body=SPEC)
        params = {"id": made.headers["Location"][13:]}
        waiting = asyncio.ensure_future(
            house.ask("get_job", params=params, query=(("wait", "30s"),))
        )
        await asyncio.sleep(0.05)
        await house.host.shutdown()
        with pytest.raises(ActorUnavailable):
            await waiting

    asyncio.run(ask())


def test_a_body_over_the_limit_is_refused() -> None:
    async def ask() -> None:
        house = House()
        reply = await house.ask("submit_job", body=b" " * (limits.BODY_BYTES + 1))
        assert (reply.status, b"BODY_BYTES" in reply.body) == (413, True)
        await house.host.shutdown()

    asyncio.run(ask())
