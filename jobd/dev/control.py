"""The control socket of a development cluster: one line of JSON asks, one line answers.

{"verb": "cut", "node": "node2", "from": "node1", "one_way": true} is answered with {"ok": …}, or
with {"error": cause, "remedy": …, "code": …}. It lies in the cluster's private `run` directory, so
who may enter that may do all this.
"""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import Any, Final

import msgspec

from actors.errors import InvalidInput, JobdError
from jobd.dev.cluster import DevCluster

__all__ = ["Control", "Request"]

_SOCKET: Final = "dev.sock"
_LINE_BYTES: Final = 4096


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked for. `node` is empty only where the verb is about all."""

    verb: str
    node: str = ""
    from_: str | None = msgspec.field(default=None, name="from")
    one_way: bool = False
    with_jobs: bool = False


class Control:
    """Serves the socket."""

    def __init__(self, cluster: DevCluster) -> None:
        self._cluster = cluster
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen."""
        run = self._cluster.directory / "run"
        (run / _SOCKET).unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        directory = os.open(run, os.O_PATH | os.O_DIRECTORY)
        try:
            # A socket's path has at most 107 bytes; through the descriptor any directory is short.
            listener.bind(f"/proc/self/fd/{directory}/{_SOCKET}")
        finally:
            os.close(directory)
        self._server = await asyncio.start_unix_server(
            self._answer, sock=listener, limit=_LINE_BYTES
        )

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
        Path(self._cluster.directory, "run", _SOCKET).unlink(missing_ok=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer: dict[str, Any] = {"ok": await self._do(_decode(await reader.readline()))}
        except JobdError as error:
            answer = {"error": error.message, "remedy": error.remedy, "code": error.code}
        except ValueError:  # of readline: a line without an end
            answer = {"error": f"a request has at most {_LINE_BYTES} bytes"}
        writer.write(msgspec.json.encode(answer) + b"\n")
        writer.close()

    async def _do(self, asked: Request) -> Any:
        cluster = self._cluster
        match asked.verb:
            case "status":
                pass
            case "kill":
                cluster.kill(asked.node, with_jobs=asked.with_jobs)
            case "freeze":
                cluster.freeze(asked.node)
            case "thaw":
                cluster.thaw(asked.node)
            case "restart":
                await cluster.restart(asked.node)
            case "cut":
                cluster.cut(asked.node, asked.from_, one_way=asked.one_way)
            case "heal":
                cluster.heal(asked.node or None, asked.from_)
            case _:
                raise InvalidInput(f"{asked.verb!r} is nothing that can be done to a node")
        return cluster.status()


def _decode(line: bytes) -> Request:
    try:
        return msgspec.json.decode(line, type=Request)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"no such request: {error}") from None
