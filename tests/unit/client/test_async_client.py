"""The asyncio client: the same verbs, on asyncio's loop and on uvloop."""

from __future__ import annotations

import asyncio
import inspect
import io
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
import uvloop

from actors.core.job import Ending
from actors.core.store.txn import Txn
from actors.errors import (
    ActorUnavailable,
    AskTimeout,
    Forbidden,
    InvalidSpec,
    NotFound,
    PreconditionFailed,
)
from actors.model import keys
from actors.model.codec import encode
from actors.model.job import Output
from jobd.api.job_logs import LogLine
from jobd.client import AsyncClient, Client, Gap
from jobd.client.async_sections import AsyncKeyValues, AsyncMembers, AsyncSecrets, AsyncTokens
from jobd.client.sections import KeyValues, Members, Secrets, Tokens
from tests.unit.client.door import Door

SPEC = {"name": "t", "type": "command", "cmd": "true"}
FAILED = Ending("failed", "exit", exit_code=1)


def client_of(door: Door, **options: Any) -> AsyncClient:
    return AsyncClient(door.address, token=door.token, timeout_s=5, **options)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_every_kind_of_call(door: Door, run: Callable[[Any], Any]) -> None:
    async def calls() -> None:
        async with client_of(door) as client:
            jobs = await asyncio.gather(*(client.submit(SPEC) for _ in range(50)))
            assert len({job.id for job in jobs}) == 50
            assert len([job async for job in client.list_jobs(limit=7)]) == 7
            with pytest.raises(InvalidSpec):
                await client.submit("name: x")
            assert (await client.submit_many([SPEC]))[0].id
            assert await client.kv.cas("ns", "k", None, b"1")
            stored = await client.kv.get("ns", "k")
            assert stored is not None
            with pytest.raises(PreconditionFailed):
                await client.kv.put("ns", "k", b"2", if_match=stored.revision - 1)
            assert [item.key async for item in client.kv.list("ns")] == ["k"]
            assert (await client.tokens.create("ci", ["read"])).token
            with pytest.raises(AskTimeout):
                await client.wait(jobs[0], timeout_s=0.05)
            waiting = asyncio.ensure_future(client.wait(jobs[0]))
            await asyncio.sleep(0.05)
            door.do(door.gateway.run, jobs[0].id, out=b"x" * 3_000_000)
            assert (await waiting).state == "succeeded"
            assert (await client.inspect("/api")).cls == "ApiDoor"
            assert await client.watch("/nobody") == "unknown"
            with pytest.raises(NotFound):
                await client.get_job("x")

    run(calls())


def test_streams_go_on_over_a_restart(door: Door) -> None:
    async def follow() -> None:
        async with client_of(door) as client:
            job = await client.submit(SPEC)
            attempt = door.do(door.gateway.start, job.id)
            door.do(door.gateway.write_log, attempt, b"a\n")
            written = b""
            async with aclosing(client.logs(job, follow=True)) as lines:
                async for line in lines:
                    assert isinstance(line, LogLine)
                    written += line.data
                    if written == b"a\n":
                        await asyncio.to_thread(door.restart)
                        door.do(door.gateway.write_log, attempt, b"b\n")
                        door.do(door.gateway.end, attempt, FAILED)
            assert written == b"a\nb\n"
            page = [line.data async for line in client.logs(job) if isinstance(line, LogLine)]
            assert b"".join(page) == written

    asyncio.run(follow())


def test_events_come_as_they_happen(door: Door) -> None:
    async def follow() -> None:
        async with client_of(door) as client, client_of(door) as other:

            async def read() -> list[Any]:
                got: list[Any] = []
                async with aclosing(client.events("a")) as events:
                    async for event in events:
                        got.append(event)
                        if len(got) == 20:
                            break
                return got

            reading = asyncio.ensure_future(read())
            await asyncio.sleep(0.2)
            for i in range(20):
                await other.emit("a", {"n": i})
                if i == 9:
                    await asyncio.to_thread(door.restart)
            assert [event.data["n"] for event in await reading] == list(range(20))
            kept = [event async for event in other.events("a", follow=False)]
            assert len(kept) == 20
            door.gateway.floor = (door.gateway.state.revision - 1, 9)
            first = await anext(other.events("a", after="1-0", follow=False))
            assert isinstance(first, Gap)

    asyncio.run(follow())


def test_a_large_output_is_fetched(door: Door) -> None:
    async def fetch(content: bytes) -> None:
        async with client_of(door) as client:
            job = await client.submit(SPEC)
            file = io.BytesIO()
            output = Output(None, len(content), "0" * 64)
            txn = Txn((), ((keys.output(job.id, 0), encode(output)),))
            door.do(door.gateway.commit, txn)
            with pytest.raises(NotFound):
                await client.download(job, file)

    asyncio.run(fetch(b"x" * 1_000_000))


def test_who_waits_hears_that_the_node_is_gone(door: Door) -> None:
    async def wait() -> None:
        async with AsyncClient(door.address, token=door.token, timeout_s=0.5) as client:
            await client.status()
            waiting = asyncio.ensure_future(client.api("get_job", {"id": "x"}, takes_s=1))
            with pytest.raises(NotFound):
                await waiting
            await asyncio.to_thread(door.stop_serving)
            with pytest.raises(ActorUnavailable):
                await client.status()
        await asyncio.to_thread(door.serve, 0)

    asyncio.run(wait())


def test_a_token_without_the_scope(door: Door) -> None:
    async def ask() -> None:
        async with AsyncClient(door.address, token=door.gateway.mint("read")) as client:
            with pytest.raises(Forbidden):
                await client.submit(SPEC)

    asyncio.run(ask())


def test_a_closed_client_says_so(door: Door) -> None:
    async def ask() -> None:
        client = client_of(door)
        await client.status()
        await client.close()
        with pytest.raises(RuntimeError, match="closed"):
            await client.status()

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("blocking", "awaited"),
    [
        (Client, AsyncClient),
        (KeyValues, AsyncKeyValues),
        (Secrets, AsyncSecrets),
        (Tokens, AsyncTokens),
        (Members, AsyncMembers),
    ],
)
def test_both_clients_have_the_same_verbs(blocking: type, awaited: type) -> None:
    verbs, others = (
        {name: each for name, each in inspect.getmembers(kind) if not name.startswith("_")}
        for kind in (blocking, awaited)
    )
    assert set(verbs) == set(others)
    for name, verb in verbs.items():
        if inspect.isfunction(verb):
            assert list(inspect.signature(verb).parameters.values()) == list(
                inspect.signature(others[name]).parameters.values()
            ), name
