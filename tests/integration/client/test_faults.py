"""The client library against real nodes that are killed, stopped, restarted, left for others."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from contextlib import aclosing

import pytest

from actors.errors import ActorUnavailable, Unauthenticated
from jobd.api.events import EventView
from jobd.api.job_logs import LogLine
from jobd.client import AsyncClient, Client
from tests.integration.client.conftest import Start, cluster_of
from tests.integration.node_process import NodeProcess

LATER = {"type": "command", "cmd": "true", "trigger": {"delay": "10h"}}
COUNT = "i=0; while [ $i -lt 30 ]; do echo line $i; i=$((i+1)); sleep 0.1; done"


def test_a_submission_is_neither_lost_nor_doubled(start: Start) -> None:
    node = start()
    submitted: list[str] = []

    def submit(client: Client, writer: int) -> None:
        names = (f"w{writer}-{i}" for i in range(60))
        submitted.extend(client.submit({**LATER, "name": name}).id for name in names)

    with Client(cluster_of(node), token=node.token, timeout_s=60) as client:
        client.status()
        writers = [threading.Thread(target=submit, args=(client, n)) for n in range(4)]
        for writer in writers:
            writer.start()
        for _ in range(3):
            time.sleep(0.15)
            node.kill()
            node.start()
        for writer in writers:
            writer.join()
        names = Counter(job.name for job in client.list_jobs())
        ids = {job.id for job in client.list_jobs()}
    assert names == Counter(f"w{n}-{i}" for n in range(4) for i in range(60))
    assert ids == set(submitted)


def test_a_log_is_followed_across_a_kill(start: Start) -> None:
    node = start()
    with Client(cluster_of(node), token=node.token, timeout_s=60) as client:
        job = client.submit({"name": "count", "type": "command", "shell": COUNT})
        written = b""
        for line in client.logs(job, follow=True):
            assert isinstance(line, LogLine)
            if b"line 9\n" in line.data:
                node.kill()
                node.start()
            written += line.data
        assert written == b"".join(b"line %d\n" % i for i in range(30))
        assert client.get_job(job).attempt == 1


def test_events_are_followed_across_a_kill(start: Start) -> None:
    node = start()

    async def follow() -> None:
        address = cluster_of(node)
        async with AsyncClient(address, token=node.token, timeout_s=60) as client:

            async def read() -> list[int]:
                seen: list[int] = []
                async with aclosing(client.events("n")) as events:
                    async for event in events:
                        assert isinstance(event, EventView)
                        seen.append(event.data["n"])
                        if len(seen) == 30:
                            break
                return seen

            reading = asyncio.ensure_future(read())
            await asyncio.sleep(0.3)
            for i in range(30):
                await client.emit("n", {"n": i})
                if i == 12:
                    await asyncio.to_thread(node.kill)
                    await asyncio.to_thread(node.start)
            assert await asyncio.wait_for(reading, 30) == list(range(30))

    asyncio.run(follow())


def test_a_node_that_is_stopped_is_waited_for(start: Start) -> None:
    node = start()
    with Client(cluster_of(node), token=node.token, timeout_s=30) as client:
        job = client.submit({"name": "s", "type": "command", "shell": "sleep 1; echo done"})
        waited: list[str] = []
        waiter = threading.Thread(target=lambda: waited.append(client.wait(job).state))
        waiter.start()
        time.sleep(0.2)
        assert node.stop() == 0
        node.start()
        waiter.join(30)
        assert waited == ["succeeded"]


def test_a_node_without_a_named_address_is_found_where_it_comes_back(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start("node", "--cluster=127.0.0.1:0")
    monkeypatch.setenv("JOBD_DATA", str(node.data))
    with Client() as client:
        client.status()
        before = client.address
        node.kill()
        node.start()
        assert client.status().node
        assert client.address != before


def test_the_next_address_takes_over(start: Start) -> None:
    first, second = (start(name, "--insecure-no-auth") for name in ("one", "two"))
    addresses = [cluster_of(first), cluster_of(second)]
    with Client(addresses, token="", timeout_s=20) as client:
        one = client.status().node
        first.kill()
        began = time.monotonic()
        two = client.status().node
        assert two != one
        assert time.monotonic() - began < 2
        first.start()
        assert client.status().node == two  # what works is kept


def test_a_wedged_node_is_left(start: Start) -> None:
    first, second = (start(name, "--insecure-no-auth") for name in ("one", "two"))
    with Client([cluster_of(first), cluster_of(second)], token="", timeout_s=30) as client:
        one = client.status().node
        os.kill(first.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            assert client.status().node != one
            assert 4 < time.monotonic() - began < 12
        finally:
            os.kill(first.pid, signal.SIGCONT)


def test_a_node_that_stays_away_is_an_error_in_time(start: Start) -> None:
    node = start()
    with Client(cluster_of(node), token=node.token, timeout_s=1) as client:
        client.status()
        node.kill()
        began = time.monotonic()
        with pytest.raises(ActorUnavailable, match="no node answers"):
            client.status()
        assert time.monotonic() - began < 3


def test_a_revoked_token_ends_what_it_began(node: NodeProcess) -> None:
    with Client(cluster_of(node), token=node.token) as admin:
        minted = admin.tokens.create("guest", ["read", "write"])
        with Client(cluster_of(node), token=minted.token) as guest:
            guest.status()
            events = guest.events("x")
            timer = threading.Timer(0.3, admin.tokens.revoke, (minted.id,))
            timer.start()
            began = time.monotonic()
            with pytest.raises(Unauthenticated):
                next(events)
            assert time.monotonic() - began < 5
            with pytest.raises(Unauthenticated):
                guest.status()
            timer.join()


def test_threads(node: NodeProcess) -> None:
    done: list[int] = []

    def work(client: Client) -> None:
        done.extend(client.status().revision for _ in range(200))

    with Client(cluster_of(node), token=node.token) as client:
        threads = [threading.Thread(target=work, args=(client,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(done) == 1_600


def test_a_connection_that_was_idle_is_replaced(node: NodeProcess) -> None:
    with Client(cluster_of(node), token=node.token) as client:
        events = client.events("idle")
        timer = threading.Timer(0.3, node.call, ("POST", "/events", {"type": "idle"}))
        timer.start()
        assert isinstance(next(events), EventView)
        timer.join()
        time.sleep(7)  # the node has given both links up
        client.emit("idle", {"second": True})
        second = next(events)
        assert isinstance(second, EventView)
        assert second.data == {"second": True}
        assert client.status().node
