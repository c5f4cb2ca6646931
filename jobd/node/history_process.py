"""The node's history process: started on first use, and again when it has ended or hangs.

It is spoken to over a link of its own, a socket in the data directory, and ends with the node.
Rules:

P1  Nothing waits for it but who asked; what it can't answer is an error, and stops no node.
P2  A process that is silent, or came not up in time, is killed: the next question starts another,
    after a pause that doubles while they end soon.
P3  Which rows it has, only it can say: after any error the history actor asks anew.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final

from actors import addresses
from actors.core.history import Batch
from actors.core.history_port import ReadRange, Where, Write
from actors.errors import ActorUnavailable, JobdError, Unavailable
from actors.history import HistoryLost, Stored
from actors.history_store import MESSAGES, NODE, READER, WRITER
from actors.runtime import LoopHost
from actors.runtime.link import Link
from actors.runtime.vocabulary import Vocabulary
from jobd.config import Config
from jobd.node.data_directory import NodeDirectory

__all__ = ["SOCKET", "HistoryProcess"]

_log: Final = logging.getLogger(__name__)
SOCKET: Final = "history.sock"
_MODULE: Final = "jobd.node.wiring.history"
_WRITE_S: Final = 30.0
_START_S: Final = 15.0
_STOP_S: Final = 2.0
_LOOK_S: Final = 0.02
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 30.0
_STEADY_S: Final = 60.0  # who lived that long does not count as one that ends soon


class HistoryProcess:
    """Implements HistoryPort for the node of a data directory."""

    def __init__(self, host: LoopHost, directory: NodeDirectory, config: Config) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._directory = directory
        self._config = config
        self._link: Link | None = None
        self._run = -1
        self._pid: int | None = None
        self._pidfd = -1
        self._began_s = 0.0
        self._pause_s = 0.0
        self._starts = 0
        self._starting = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def exists(self) -> bool:
        """Whether there is a history: without one there is nothing to look for in it."""
        return self._pid is not None or (self._directory.path / "history" / "jobd.duckdb").exists()

    @property
    def restarts(self) -> int:
        """How often another process was needed."""
        return max(0, self._starts - 1)

    # -- asking

    def send(self, message: Where | Write) -> None:
        """Send, starting the process when there is none; `Stored` or `HistoryLost` follows."""
        self._begin(self._carry(message))

    async def _carry(self, message: Where | Write) -> None:
        try:
            position = await self.ask(WRITER, message, timeout_s=_WRITE_S)
        except JobdError as error:
            self._host.tell(addresses.HISTORY, HistoryLost(str(error)))
        else:
            self._host.tell(addresses.HISTORY, Stored(position))

    def read(
        self,
        message: ReadRange,
        answer: Callable[[Batch], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Have one of these called, later, with what is stored or why it can't be told."""
        self._begin(self._read(message, answer, failed))

    async def _read(
        self,
        message: ReadRange,
        answer: Callable[[Batch], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        try:
            batch: Batch = await self.ask(READER, message, timeout_s=_WRITE_S)
        except JobdError as error:
            failed(error)
        else:
            answer(batch)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def ask(self, address: str, message: Any, *, timeout_s: float) -> Any:
        """Return the answer of one of its actors. Raises what that says, Unavailable."""
        await self._up()
        try:
            return await self._host.ask(address, message, timeout_s=timeout_s)
        except ActorUnavailable as error:
            self._kill()
            raise Unavailable(f"the history process went: {error}") from error

    # -- starting

    async def _up(self) -> None:
        """Return when there is a process and a link to it. Raises Unavailable."""
        if NODE in self._host.routes:
            return
        async with self._starting:
            deadline = self._loop.time() + _START_S
            while NODE not in self._host.routes:
                if self._pid is None:
                    await self._pause()
                    self._start()
                if self._loop.time() > deadline:
                    self._kill()
                    raise Unavailable("the history process did not come up in time")
                await asyncio.sleep(_LOOK_S)

    async def _pause(self) -> None:
        if self._pause_s:
            await asyncio.sleep(self._pause_s)

    def _start(self) -> None:
        if self._link is None:
            self._link = self._bind()
        self._starts += 1
        self._began_s = self._loop.time()
        self._pid = os.posix_spawn(
            sys.executable,
            (sys.executable, "-I", "-m", _MODULE, *self._options()),
            os.environ,
            setpgroup=0,  # a Ctrl-C is the node's affair
            setsigmask=(),
            setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE),
        )
        self._pidfd = os.pidfd_open(self._pid)
        self._loop.add_reader(self._pidfd, self._ended)

    def _options(self) -> list[str]:
        kept, log = self._config.storage.history, self._config.log
        options = ["--data", str(self._directory.path), "--run", str(self._directory.run)]
        options += ["--node", str(os.getpid()), "--number", str(self._starts)]
        options += ["--keep-days", str(kept.keep_days)]
        options += ["--log-level", log.level, "--log-format", log.format]
        return options if kept.parquet else [*options, "--no-parquet"]

    def _bind(self) -> Link:
        # A socket's path has at most 107 bytes; through the descriptor any directory is short.
        self._run = os.open(self._directory.run, os.O_PATH | os.O_DIRECTORY)
        return Link(
            self._host,
            f"ipc:///proc/self/fd/{self._run}/{SOCKET}",
            node=self._directory.node_id,
            incarnation=self._directory.incarnation,
            vocabulary=Vocabulary(MESSAGES),
        )

    # -- the end

    def _ended(self) -> None:
        """The process is gone: whoever waits for it is told now."""
        assert self._pid is not None and self._link is not None, "it was started"
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        status = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        self._pid = None
        soon = self._loop.time() - self._began_s < _STEADY_S
        longer_s = min(max(2 * self._pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
        self._pause_s = longer_s if soon else _FIRST_PAUSE_S
        _log.warning("the history process ended (%d); another one starts when needed", status)
        self._link.lose(NODE, "its process ended")

    def _kill(self) -> None:
        if self._pid is not None:
            os.kill(self._pid, signal.SIGKILL)

    async def close(self) -> None:
        """End the process, and the link to it."""
        for task in self._tasks:
            task.cancel()
        if self._pid is not None:
            self._loop.remove_reader(self._pidfd)
            os.kill(self._pid, signal.SIGTERM)
            deadline = self._loop.time() + _STOP_S
            while os.waitpid(self._pid, os.WNOHANG) == (0, 0):
                if self._loop.time() > deadline:
                    self._kill()
                await asyncio.sleep(_LOOK_S)
            os.close(self._pidfd)
            self._pid = None
        if self._link is not None:
            self._link.close()
            os.close(self._run)
