"""Puts into a cluster of JobD: by actors of its nodes, and by users through the client library."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import count
from typing import Any

from actors.errors import JobdError
from jobd.client import AsyncClient
from tests.bench.etcd import Load
from tests.bench.submitting_node import SOCKET
from tests.cluster.cluster import Cluster, ClusterNode

__all__ = ["ByActors", "ByUsers", "submit"]

_NAMESPACE = "bench"
_KEYS = 10_000


def submit(
    node: ClusterNode, at_once: int, seconds: float, value_bytes: int, most: int = 0
) -> dict[str, Any]:
    """Have a node's own actor submit transactions; return what it says of them."""
    asked = {"at_once": at_once, "seconds": seconds, "value_bytes": value_bytes, "count": most}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(node.data / "run" / SOCKET))
        connection.sendall(json.dumps(asked).encode() + b"\n")
        answer: dict[str, Any] = json.loads(connection.makefile("rb").readline())
    return answer


def _shares(whole: int, parts: int) -> list[int]:
    return [whole // parts + (number < whole % parts) for number in range(parts)]


class ByActors:
    """Each of some nodes' own actors keeps its share of the transactions under way."""

    def __init__(self, nodes: Sequence[ClusterNode]) -> None:
        self._nodes = nodes

    def put(self, clients: int, seconds: float, value_bytes: int) -> Load:
        answers: list[dict[str, Any]] = []

        def ask(node: ClusterNode, share: int) -> None:
            answers.append(submit(node, share, seconds, value_bytes))

        threads = [
            threading.Thread(target=ask, args=(node, share))
            for node, share in zip(self._nodes, _shares(clients, len(self._nodes)), strict=True)
            if share
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == len(threads), "a node did not answer"
        rate = sum(answer["committed"] / answer["took_s"] for answer in answers)
        return Load(rate, [each for answer in answers for each in answer["latencies_ms"]], 0.0)


class ByUsers:
    """One process with a connection to each node, over which its share of the clients call."""

    def __init__(self, cluster: Cluster) -> None:
        self._addresses = [node.at["cluster"] for node in cluster.nodes]
        self._token = cluster.token
        self._numbers = count()

    def put(self, clients: int, seconds: float, value: bytes) -> Load:
        async def one(client: AsyncClient) -> None:
            await client.kv.put(_NAMESPACE, f"k{next(self._numbers) % _KEYS}", value)

        return asyncio.run(self._load(one, clients, seconds))

    def get(self, clients: int, seconds: float) -> Load:
        async def one(client: AsyncClient) -> None:
            await client.kv.get(_NAMESPACE, "k0")

        return asyncio.run(self._load(one, clients, seconds))

    async def _load(self, one: Any, clients: int, seconds: float) -> Load:
        latencies_ms: list[float] = []
        failures: list[JobdError] = []
        until = 0.0

        async def call(client: AsyncClient) -> None:
            while (began := time.perf_counter()) < until:
                try:
                    await one(client)
                except JobdError as error:
                    failures.append(error)
                    continue
                latencies_ms.append((time.perf_counter() - began) * 1e3)

        async with AsyncExitStack() as stack:
            users = []
            for address in self._addresses:
                user = await stack.enter_async_context(AsyncClient(address, token=self._token))
                await user.status()
                users.append(user)
            used, began = os.times(), time.perf_counter()
            until = began + seconds
            async with asyncio.TaskGroup() as group:
                for user, share in zip(users, _shares(clients, len(users)), strict=True):
                    for _ in range(share):
                        group.create_task(call(user))
            took_s, now = time.perf_counter() - began, os.times()
        if failures:
            print(f"    {len(failures)} calls failed, the first: {failures[0]}")
        cpu = now.user + now.system - used.user - used.system
        return Load(len(latencies_ms) / took_s, latencies_ms, cpu)
