"""The cluster port of a real node: clients in other processes, and hostile peers."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager

import pytest
import zmq

from actors.errors import (
    ActorUnavailable,
    Conflict,
    Forbidden,
    JobdError,
    NotFound,
    Unauthenticated,
)
from actors.runtime import Inspect, Invoke, LoopHost, Ping
from actors.runtime.header import DIRECT, Header, encode_header
from actors.runtime.link import Link
from actors.runtime.registry import (
    DIRECTORY_TYPES,
    Entry,
    ListActors,
    Register,
    Resolve,
    Unregister,
)
from actors.runtime.vocabulary import Vocabulary
from jobd.api.message import ApiReply, ApiRequest
from tests.integration.node_process import NodeProcess

Scenario = Coroutine[object, object, None]


def port(node: NodeProcess) -> str:
    found = json.loads((node.data / "run" / "node.json").read_text())
    return f"tcp://{found['cluster']}"


class Client:
    """A client in this process."""

    def __init__(self, node: NodeProcess, name: str, token: str | None = None) -> None:
        self.host = LoopHost()
        self.link = Link(
            self.host,
            port(node),
            node=name,
            incarnation=1,
            vocabulary=Vocabulary([ApiRequest, *DIRECTORY_TYPES]),
            token=node.token if token is None else token,
        )

    async def __aenter__(self) -> Client:
        self.node = f"jobd://{await self.link.ready}"
        self.directory = f"{self.node}/directory"
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.link.close()
        await self.host.shutdown()

    async def find(self, name: str) -> Entry:
        """Resolve a name that may not be there yet."""
        for _ in range(500):
            try:
                found: Entry = await self.host.ask(self.directory, Resolve(name))
            except NotFound:
                await asyncio.sleep(0.02)
            else:
                return found
        raise AssertionError(f"nobody registered {name}")


@contextmanager
def another_process(node: NodeProcess, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with a counter and a registered echo."""
    command = [sys.executable, "-m", "tests.integration.runtime.client", port(node), name]
    environment = {**os.environ, "JOBD_TOKEN": node.token, "JOBD_REGISTER": "1"}
    process = subprocess.Popen(command, env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def run(scenario: Scenario) -> None:
    async def main() -> None:
        await asyncio.wait_for(scenario, 30)

    asyncio.run(main())


def test_a_process_calls_an_actor_of_another_by_its_name(node: NodeProcess) -> None:
    async def scenario() -> None:
        async with Client(node, "caller") as client:
            echo = await client.find("echo")
            assert (echo.address, echo.class_name) == ("jobd://callee/echo", "Echo")
            large = os.urandom(3_000_000)
            for value in ("hello", [1, {"two": b"3"}], large):
                assert await client.host.ask(echo.address, Invoke("any", (value,))) == value
            process.kill()
            process.wait()
            killed_s = time.monotonic()
            with pytest.raises(ActorUnavailable):
                while True:
                    await client.host.ask(echo.address, Invoke("any", (1,)), timeout_s=10)
                    await asyncio.sleep(0.05)
            assert time.monotonic() - killed_s < 5
            with pytest.raises(NotFound):
                await client.host.ask(client.directory, Resolve("echo"))

    with another_process(node, "callee") as process:
        run(scenario())


def test_names_are_their_process_s_own(node: NodeProcess) -> None:
    async def scenario() -> None:
        async with Client(node, "first") as first, Client(node, "second") as second:
            mine = Register("mine", "team", "jobd://first/a", "A", ("go", "stop"))
            entry = await first.host.ask(first.directory, mine)
            # The actor isn't there: the directory learns so from its process, and frees the name.
            assert entry == Entry("mine", "team", "jobd://first/a", "A", ("go", "stop"))
            with pytest.raises(Forbidden):
                await second.host.ask(
                    second.directory, Register("x", "team", "jobd://first/a", "A")
                )
            with another_process(node, "third"):
                await second.find("echo")
                taken = Register("echo", "default", "jobd://second/a", "A")
                with pytest.raises(Conflict, match="jobd://third/echo"):
                    await second.host.ask(second.directory, taken)
                present = Register("echo", "default", "jobd://second/a", "A", get_if_exists=True)
                found = await second.host.ask(second.directory, present)
                assert found.address == "jobd://third/echo"
                await second.host.ask(second.directory, Unregister("echo"))
                assert (await second.find("echo")).address == "jobd://third/echo"
                listing = await first.host.ask(first.directory, ListActors("ec"))
                assert [each.name for each in listing.entries] == ["echo"]

    run(scenario())


def test_the_scopes_of_a_token_bound_what_its_client_may(node: NodeProcess) -> None:
    made = node.call("POST", "/tokens", {"name": "looks", "scopes": ["read"]})

    async def scenario() -> None:
        async with Client(node, "looks", made["token"]) as client:
            assert await client.host.ask(f"{client.node}/directory", Ping()) == 1
            row = await client.host.ask(f"{client.node}/scheduler", Inspect())
            assert row[:2] == ["/scheduler", "Scheduler"]
            with pytest.raises(Forbidden):
                await client.host.ask(client.directory, Register("a", "b", "jobd://looks/a", "A"))
            with pytest.raises(Forbidden):
                await client.host.ask(f"{client.node}/scheduler", Invoke("stop"))
            ask = ApiRequest("get_status")
            reply = ApiReply.of(await client.host.ask(f"{client.node}/api", ask))
            assert reply.status == 200
            node.call("DELETE", f"/tokens/{made['id']}")
            while client.link.refusal is None:
                await asyncio.sleep(0.05)
            with pytest.raises(Unauthenticated):
                await client.host.ask(client.directory, Ping())
        for token in ("", "jobd_no_such", node.token + "x"):
            with pytest.raises(Unauthenticated):
                await Client(node, "stranger", token).link.ready

    run(scenario())


def test_hostile_peers_break_nothing(node: NodeProcess) -> None:
    endpoint = port(node)
    host, _, number = endpoint.removeprefix("tcp://").rpartition(":")
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL".ljust(54, b"\0")
    for garbage in (
        os.urandom(4096),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        greeting[:30],
        greeting + os.urandom(999),
        greeting + b"\x02" + (2**62).to_bytes(8, "big"),
    ):
        with socket.create_connection((host, int(number)), timeout=5) as raw:
            raw.sendall(garbage)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
    peers = []
    for frames in (
        [b""],
        [b"", b""],
        [DIRECT, b"\xdd\xff\xff\xff\xff"],
        [DIRECT, b"\x91" * 100_000],
        [encode_header(Header(1, "caller", "root", "admin", ("admin",), 1)), b"\x90"],
        [b"\x91\x63", b"\x90"],
        [DIRECT, *([b"x"] * 500)],
        [DIRECT, os.urandom(1_000_000)],
    ):
        peer = context.socket(zmq.DEALER)
        peer.linger = 500
        peer.connect(endpoint)
        for _ in range(20):
            peer.send_multipart(frames)
        peers.append(peer)

    async def scenario(name: str) -> None:
        async with Client(node, name) as client:
            assert await client.host.ask(client.directory, Ping()) == 1

    run(scenario("good"))
    for peer in peers:
        peer.close()
    context.term()
    run(scenario("better"))
    assert node.call("GET", "/status")["node"]


def test_no_client_takes_the_name_of_a_node(node: NodeProcess) -> None:
    """What one node sends another while that is away is not for whoever has its name."""

    async def scenario() -> None:
        for name in (node.call("GET", "/status")["node"], "01m857mdmpap91ggh103j61zv8"):
            with pytest.raises(JobdError, match="no name for a client"):
                async with Client(node, name):
                    pass

    run(scenario())
