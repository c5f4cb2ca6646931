"""`python -m jobd.node.wiring.history`: the history process of a node, which owns its DuckDB file.

Started by the node and ended with it: the kernel kills it when the node is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import logging
import os
import resource
import signal
from pathlib import Path
from typing import Final

from actors import limits
from actors.backends.history.file import HistoryFile
from actors.backends.history.records import HistoryReading
from actors.backends.history.sql import HistorySql
from actors.backends.history.store import HistoryStore
from actors.backends.process_title import set_title
from actors.history_store import (
    MESSAGES,
    NODE,
    QUERIES,
    READER,
    WRITER,
    HistoryReader,
    HistoryWriter,
    Queries,
)
from actors.runtime import LoopHost
from actors.runtime.link import Link
from actors.runtime.vocabulary import Vocabulary
from jobd.node.history_process import SOCKET
from jobd.node.logs import configure

__all__ = ["main"]

_log: Final = logging.getLogger(__name__)
_PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    """Serve the history until the node says to end."""
    parser = argparse.ArgumentParser(prog="jobd: history", description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--node", type=int, required=True)
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--keep-days", type=int, required=True)
    parser.add_argument("--no-parquet", action="store_true")
    parser.add_argument("--log-level", default="info")
    parser.add_argument("--log-format", default="pretty")
    options = parser.parse_args()
    _end_with(options.node)
    set_title("jobd: history", "jobd: history")
    configure(options.log_level, options.log_format)
    os.umask(0o077)
    most = limits.HISTORY_PROCESS_MIB << 20
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    asyncio.run(_serve(options))


def _end_with(node: int) -> None:
    """Have the kernel end this process with its parent, which is 1 in a container."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != node:
        raise SystemExit("the node has ended")  # before the kernel knew of the wish


def _end_hung() -> None:
    """End at once: nothing else ends a query that heeds no interrupt. The node starts another."""
    _log.error("a query did not end at its timeout: the history process does")
    os.kill(os.getpid(), signal.SIGKILL)


async def _serve(options: argparse.Namespace) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    host = LoopHost(on_fatal=lambda reason, error: ended.set())
    file = HistoryFile(options.data / "history")
    store = HistoryStore(file, keep_days=options.keep_days, parquet=not options.no_parquet)
    host.spawn(lambda: HistoryWriter(store), WRITER)
    host.spawn(lambda: HistoryReader(HistoryReading(file)), READER)
    host.spawn(lambda: Queries(HistorySql(file, hung=_end_hung)), QUERIES)
    directory = os.open(options.run, os.O_PATH | os.O_DIRECTORY)
    link = Link(
        host,
        f"ipc:///proc/self/fd/{directory}/{SOCKET}",
        node=NODE,
        incarnation=options.number,
        vocabulary=Vocabulary(MESSAGES),
        child=True,
    )
    await ended.wait()
    await host.shutdown()
    link.close()


if __name__ == "__main__":
    main()
