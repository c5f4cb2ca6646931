"""The connections of a blocking client: each is one thread's at a time, and reused while fresh."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import zmq

from jobd.client.connection import Connection
from jobd.client.others import NODES, others_told
from jobd.client.retry import Nodes

__all__ = ["Pool"]

_IO_THREADS: Final = 1


class Pool:
    """Connections to whichever node is in use. From any thread."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(_IO_THREADS)
        self._process = os.getpid()
        self._is_closed = False
        self._busy = 0

    @contextmanager
    def connection(self, timeout_s: float) -> Iterator[Connection]:
        """Give a connection to this thread alone. One that an error left is not used again.

        `timeout_s` is how long making one may take. Raises ActorUnavailable when the node can't be
        reached, or as the node refuses.
        """
        connection = self._take(timeout_s)
        is_good = False
        try:
            yield connection
            is_good = True
        finally:
            with self._lock:
                self._busy -= 1
                keeps = is_good and connection.is_fresh and not self._is_closed
                if keeps:
                    self._idle.append(connection)
            if not keeps:
                connection.close()
            self._end_if_last()

    def close(self) -> None:
        """Part with the nodes. What other threads are waiting for goes on to its end."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        self._end_if_last()

    def _end_if_last(self) -> None:
        with self._lock:
            is_last = self._is_closed and not self._busy
        if is_last:
            self._context.term()

    def _take(self, timeout_s: float) -> Connection:
        if os.getpid() != self._process:
            raise RuntimeError("a client can't be used in a fork of its process: make one there")
        address, stale = self._nodes.current, []
        try:
            with self._lock:
                if self._is_closed:
                    raise RuntimeError("the client is closed")
                self._busy += 1
                while self._idle:  # the last used is the freshest
                    connection = self._idle.pop()
                    if connection.is_fresh and connection.address == address:
                        return connection
                    stale.append(connection)
        finally:
            for connection in stale:
                connection.close()
        try:
            made = Connection(self._context, address, self._nodes.token, timeout_s)
            if self._nodes.asks_for_others:
                answer = made.ask(NODES.request, timeout_s, NODES.to)
                self._nodes.told(others_told(answer, address))
            self._nodes.reached = True
        except BaseException:
            with self._lock:
                self._busy -= 1
            self._end_if_last()
            raise
        return made
