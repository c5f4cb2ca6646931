"""The proxy between nodes: what a cut holds, which direction it is of, and who is never cut off."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from jobd.dev.proxy import Proxy
from jobd.dev.socket_owner import owner_of

_SOON_S = 0.15


class Net:
    """Node `b` answers each line with itself, behind a proxy; `a` dials it."""

    def __init__(self) -> None:
        self.dialer = "a"
        self.heard: list[bytes] = []
        self.ended = asyncio.Event()
        self.proxy = Proxy(lambda port: self.dialer)

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._echo, "127.0.0.1", 0)
        self.front = await self.proxy.add("b")
        self.proxy.lead("b", self._server.sockets[0].getsockname()[1])

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            self.heard.append(line)
            writer.write(line)
        self.ended.set()
        writer.close()

    async def dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.front)

    async def close(self) -> None:
        await self.proxy.close()
        self._server.close()


@asynccontextmanager
async def net() -> AsyncIterator[Net]:
    made = Net()
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def silent(reader: asyncio.StreamReader) -> bool:
    try:
        await asyncio.wait_for(reader.readline(), _SOON_S)
    except TimeoutError:
        return True
    return False


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


def test_a_cut_holds_what_its_sender_sends_and_healing_lets_it_through() -> None:
    async def work() -> None:
        async with net() as made:
            reader, writer = await made.dial()
            writer.write(b"one\n")
            assert await reader.readline() == b"one\n"
            made.proxy.cut("a", "b")
            assert made.proxy.cuts() == [("a", "b")]
            writer.write(b"two\n")
            assert await silent(reader)
            assert made.heard == [b"one\n"]
            made.proxy.heal("a", "b")
            assert await reader.readline() == b"two\n"
            writer.close()

    run(work())


def test_a_cut_is_of_one_direction_whoever_dialed() -> None:
    async def work() -> None:
        async with net() as made:
            reader, writer = await made.dial()
            made.proxy.cut("b", "a")
            writer.write(b"heard\n")
            assert await silent(reader)
            assert made.heard == [b"heard\n"]
            made.proxy.heal("b", "a")
            assert await reader.readline() == b"heard\n"
            writer.close()

    run(work())


def test_the_end_of_a_connection_is_held_too() -> None:
    async def work() -> None:
        async with net() as made:
            _, writer = await made.dial()
            writer.write(b"one\n")
            await writer.drain()
            while not made.heard:
                await asyncio.sleep(0.01)
            made.proxy.cut("a", "b")
            writer.close()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(made.ended.wait(), _SOON_S)
            made.proxy.heal("a", "b")
            await made.ended.wait()

    run(work())


def test_a_connection_made_under_a_cut_comes_about_behind_it() -> None:
    async def work() -> None:
        async with net() as made:
            made.proxy.cut("a", "b")
            reader, writer = await made.dial()
            writer.write(b"late\n")
            assert await silent(reader)
            made.proxy.heal("a", "b")
            assert await reader.readline() == b"late\n"
            writer.close()

    run(work())


def test_who_is_no_node_is_not_cut_off() -> None:
    async def work() -> None:
        async with net() as made:
            made.dialer = ""
            made.proxy.cut("a", "b")
            made.proxy.cut("b", "a")
            reader, writer = await made.dial()
            writer.write(b"client\n")
            assert await reader.readline() == b"client\n"
            writer.close()

    run(work())


def test_nobody_behind_a_front_is_a_closed_connection() -> None:
    async def work() -> None:
        async with net() as made:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                made.proxy.lead("b", listener.getsockname()[1])
            reader, writer = await made.dial()
            assert await reader.read() == b""
            writer.close()

    run(work())


def test_the_process_that_has_a_socket_is_found() -> None:
    code = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])));"
    code += "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-c", code, str(listener.getsockname()[1])]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            port = int(child.stdout.readline())
            assert owner_of(port, [os.getpid(), child.pid]) == child.pid
            assert owner_of(port, [os.getpid()]) is None
            child.communicate("")
        assert owner_of(port, [child.pid]) is None
