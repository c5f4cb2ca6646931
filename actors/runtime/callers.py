"""Who has connected to a port and not said hello: for how long, and how many at a time.

ZeroMQ drops who doesn't speak its protocol (HANDSHAKE_IVL); who does, and says nothing more, it
keeps for ever. Rules:
1. A connection that has said no good hello within HELLO_S is cut off.
2. No address has more than UNGREETED_PER_ADDRESS such connections, and the port has no more than
   CONNECTIONS in all: a further one is cut off at once.
ZeroMQ can't be told to end a connection, so its socket is shut down, once it is sure to be the
same one: both ends are compared, in case its descriptor is another's by now.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections import Counter
from collections.abc import Callable
from typing import Final

import zmq

from actors import limits
from actors.runtime.origin import Origin, Socket, ends_of

__all__ = ["CALLER_EVENTS", "Callers"]

CALLER_EVENTS: Final = int(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
_ACCEPTED: Final = int(zmq.EVENT_ACCEPTED)


class Callers:
    """The connections of a bound socket. `now_s` is monotonic."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._remotes: dict[int, Socket] = {}  # by descriptor
        self._silent: dict[int, float] = {}  # since when, of those that have said no hello
        self._ungreeted: Counter[str] = Counter()  # of these, by address
        self.cut = 0

    def on_event(self, event: int, descriptor: int) -> None:
        """Have a connection, or have it no more."""
        self._forget(descriptor)
        ends = ends_of(descriptor) if event == _ACCEPTED else None
        if ends is None:
            return
        remote = self._remotes[descriptor] = ends[1]
        self._silent[descriptor] = self._now_s()
        self._ungreeted[remote[0]] += 1
        is_one_too_many = (
            len(self._remotes) > limits.CONNECTIONS
            or self._ungreeted[remote[0]] > limits.UNGREETED_PER_ADDRESS
        )
        if is_one_too_many:
            self._cut(descriptor)

    def said_hello(self, origin: Origin) -> None:
        """Know that whoever this is was let in."""
        if self._remotes.get(origin.descriptor) == origin.remote:
            self._heard(origin.descriptor)

    def tick(self) -> None:
        """Cut off who has been silent for too long."""
        latest_s = self._now_s() - limits.HELLO_S
        for descriptor, since_s in list(self._silent.items()):
            if since_s < latest_s:
                self._cut(descriptor)

    def _heard(self, descriptor: int) -> None:
        if self._silent.pop(descriptor, None) is not None:
            address = self._remotes[descriptor][0]
            self._ungreeted[address] -= 1
            if not self._ungreeted[address]:
                del self._ungreeted[address]

    def _forget(self, descriptor: int) -> None:
        self._heard(descriptor)
        self._remotes.pop(descriptor, None)

    def _cut(self, descriptor: int) -> None:
        """End a connection; that it has ended is told as of any other."""
        remote = self._remotes[descriptor]
        self._heard(descriptor)
        self.cut += 1
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as held:
            if held.getpeername()[:2] == remote:
                held.shutdown(socket.SHUT_RDWR)
