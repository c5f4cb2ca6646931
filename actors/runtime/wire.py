"""A ZeroMQ socket on the event loop: one reader on its descriptor, one frame per peer and tick.

Rules, each the cure of a trap:
1. ZMQ_FD is edge-triggered: read until EAGAIN, look again after every send, and come back by
   oneself after a quota (`zmq.asyncio` does it too, at three to five times the cost).
2. All that is sent to a peer within a tick goes out as one frame.
3. A send never blocks: what the socket doesn't take stays here, in order, up to OUTBOX_ENVELOPES.
4. The socket is used on the loop's thread only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import zmq

from actors import limits
from actors.runtime.envelope import frame_of

__all__ = ["Wire"]

_FRAMES_PER_TURN: Final = 64
_FRAME_BYTES: Final = limits.ENVELOPE_BYTES // 2  # with one more part it stays below the limit
_LINGER_MS: Final = 200
_RETRY_S: Final = 0.02

Peer = bytes  # a routing id; b"" for the one peer of a DEALER


class Wire:
    """A bound ROUTER or a connected DEALER. `on_frame(peer, frame)`, `on_lost(peer)`."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        *,
        routing_id: bytes | None,
        on_frame: Callable[[Peer, bytes], None],
        on_lost: Callable[[Peer], None],
    ) -> None:
        """Bind a ROUTER, or with a routing id connect a DEALER of that name."""
        self._loop = asyncio.get_running_loop()
        self._routes = routing_id is None
        self._socket = socket = context.socket(zmq.ROUTER if self._routes else zmq.DEALER)
        socket.linger = _LINGER_MS
        socket.setsockopt(zmq.MAXMSGSIZE, limits.ENVELOPE_BYTES)
        if routing_id is None:
            socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # else a send to nobody is silent
            socket.setsockopt(zmq.ROUTER_HANDOVER, 1)  # a peer that reconnects takes its id back
            socket.bind(endpoint)
        else:
            socket.setsockopt(zmq.ROUTING_ID, routing_id)
            socket.setsockopt(zmq.IMMEDIATE, 1)  # nothing queues up for a peer that isn't there
            socket.connect(endpoint)
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._outbox: dict[Peer, list[bytes]] = {}
        self._is_due = False
        self._descriptor = int(socket.getsockopt(zmq.FD))
        self._loop.add_reader(self._descriptor, self._pump)
        self._pump_soon()

    def send(self, peer: Peer, part: bytes) -> None:
        """Send an encoded envelope with this tick's frame."""
        parts = self._outbox.setdefault(peer, [])
        parts.append(part)
        if len(parts) > limits.OUTBOX_ENVELOPES:
            self.drop(peer)
            self._on_lost(peer)
        self._pump_soon()

    def drop(self, peer: Peer) -> None:
        """Forget what is still to be sent to a peer."""
        self._outbox.pop(peer, None)

    def close(self) -> None:
        """Send what is left, and close."""
        self._flush()
        self._loop.remove_reader(self._descriptor)
        self._socket.close()

    def _pump_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Send, then read: a send may eat the edge that says there is something to read."""
        self._is_due = False
        if self._socket.closed:
            return
        self._flush()
        for _ in range(_FRAMES_PER_TURN):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if len(frames) == 1 + self._routes:
                self._on_frame(frames[0] if self._routes else b"", frames[-1])
            if self._socket.closed:
                return
        self._pump_soon()

    def _flush(self) -> None:
        for peer in list(self._outbox):
            parts = self._outbox[peer]
            while parts:
                count = _fitting(parts)
                frame = frame_of(parts[:count])
                try:
                    self._socket.send_multipart(
                        [peer, frame] if self._routes else [frame], zmq.NOBLOCK
                    )
                except zmq.Again:
                    # The descriptor tells when there is room, but not for which peer.
                    self._loop.call_later(_RETRY_S, self._pump_soon)
                    break
                except zmq.ZMQError as error:
                    if error.errno != zmq.EHOSTUNREACH:
                        raise
                    self.drop(peer)
                    self._on_lost(peer)
                    break
                del parts[:count]
            if not parts:
                self._outbox.pop(peer, None)


def _fitting(parts: list[bytes]) -> int:
    """Return how many of the first parts go into one frame, at least one."""
    size = 0
    for n, part in enumerate(parts):
        size += len(part)
        if size > _FRAME_BYTES and n:
            return n
    return len(parts)
