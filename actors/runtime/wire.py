"""A ZeroMQ socket on the event loop: one reader on its descriptor, one message a lane and tick.

Rules, each the cure of a trap:
1. ZMQ_FD is edge-triggered: read until EAGAIN, look again after every send, and come back by
   oneself after a quota (`zmq.asyncio` does it too, at three to five times the cost).
2. All envelopes with the same header that are sent to a lane within a tick go out as one batch.
   What has blobs, and what is relayed, is a message of its own; it keeps its order among its like.
3. A send never blocks: what the socket doesn't take stays here, in order, up to OUTBOX_ENVELOPES
   and OUTBOX_BYTES; then the lane is lost. The socket's own queue is bounded in messages only, so
   of large ones it is given no more than half of OUTBOX_BYTES that have not left.
4. A lane of a ROUTER is the id that the ROUTER itself gave a connection: no peer can choose one,
   and a connection can't take over another's.
5. The socket is used on the loop's thread only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Container, Sequence
from typing import Any, Final, TypeAlias

import zmq

from actors import limits
from actors.errors import ConfigError
from actors.runtime.callers import CALLER_EVENTS, Callers
from actors.runtime.curve import Curve
from actors.runtime.envelope import frame_of
from actors.runtime.monitor import FAILED, Monitor
from actors.runtime.origin import UNKNOWN, Origin, origin_of

__all__ = ["Frame", "Lane", "Wire"]

Frame: TypeAlias = Any  # bytes; a blob that was received is a zmq.Frame
Lane: TypeAlias = bytes  # one connection of a ROUTER; of a DEALER a name of our own

_MESSAGES_PER_TURN: Final = 64
_BATCH_BYTES: Final = limits.ENVELOPE_BYTES // 2  # with one more part it stays below the limit
_BATCH_PARTS: Final = limits.ENVELOPES_PER_FRAME
_FRAMES: Final = 2 + limits.BLOBS_PER_MESSAGE
_QUEUED_MESSAGES: Final = 128  # in the socket, for each lane; the rest waits here
_LARGE_BYTES: Final = 256 * 1024  # from here on ZeroMQ sends from our memory, and tells when
_LINGER_MS: Final = 200
_MORE: Final = zmq.NOBLOCK | zmq.SNDMORE
# pyzmq's own methods, without the conveniences on top of them: they are half of a small message.
_send: Final = zmq.backend.Socket.send
_receive: Final = zmq.backend.Socket.recv
_option: Final[Callable[[Any, int], Any]] = zmq.backend.Socket.get
_RETRY_S: Final = 0.02
_RECONNECT_MS: Final = (100, 1_000)  # first and longest; ZeroMQ adds its own jitter


class _Outbox:
    """What a lane is still to be sent."""

    __slots__ = ("count", "messages", "parts", "size")

    def __init__(self) -> None:
        self.messages: deque[list[Frame]] = deque()
        self.parts: dict[bytes, list[bytes]] = {}  # by header
        self.count = 0
        self.size = 0


class Wire:
    """A bound ROUTER or a connected DEALER. `on_message(lane, frames)`, `on_lost(lane)`."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        *,
        lane: Lane | None,
        on_message: Callable[[Lane, list[Frame]], None],
        on_lost: Callable[[Lane], None],
        on_end: Callable[[str], None] | None = None,
        curve: Curve | None = None,
        known: Container[Lane] = (),
        callers: Callers | None = None,
    ) -> None:
        """Bind a ROUTER, or connect a DEALER as a lane. Raises ConfigError for a taken address.

        With `on_end` a DEALER connects once only: it is told why that connection ended. `known`:
        the lanes whose `origin` nobody asks for. `callers` watches who connects to a ROUTER.
        """
        self._loop = asyncio.get_running_loop()
        self._lane = lane
        self._socket = socket = context.socket(zmq.ROUTER if lane is None else zmq.DEALER)
        self._on_end = on_end
        self._monitor: Monitor | None = None
        self._known = known
        self._first: zmq.Frame | None = None  # of the message that is being handed over
        socket.linger = _LINGER_MS
        socket.setsockopt(zmq.MAXMSGSIZE, limits.BLOB_BYTES)
        socket.setsockopt(zmq.SNDHWM, _QUEUED_MESSAGES)
        socket.setsockopt(zmq.RCVHWM, _QUEUED_MESSAGES)
        socket.setsockopt(zmq.IPV6, "[" in endpoint)
        if curve is not None:
            curve.apply(socket)
        # Who connects and says nothing at all keeps a descriptor no longer than this.
        socket.setsockopt(zmq.HANDSHAKE_IVL, int(limits.PEER_TIMEOUT_S * 1_000))
        if lane is None:
            socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # else a send to nobody is silent
            if callers is not None:
                self._monitor = Monitor(context, socket, CALLER_EVENTS, callers.on_event)
            _bind(socket, endpoint, self._monitor)
        else:
            socket.setsockopt(zmq.IMMEDIATE, 1)  # nothing queues up for a peer that isn't there
            socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS[0] if on_end is None else -1)
            socket.setsockopt(zmq.RECONNECT_IVL_MAX, _RECONNECT_MS[1])
            if on_end is not None:
                self._monitor = Monitor(context, socket, sum(FAILED), self._ended)
            socket.connect(endpoint)
        self.endpoint = socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._on_message = on_message
        self._on_lost = on_lost
        self._outboxes: dict[Lane, _Outbox] = {}
        self._leaving: dict[Lane, deque[tuple[zmq.MessageTracker, int]]] = {}  # large ones
        self._is_due = False
        self._descriptor = int(socket.getsockopt(zmq.FD))
        self._loop.add_reader(self._descriptor, self._pump)
        self._pump_soon()

    def send(self, lane: Lane, header: bytes, part: bytes) -> None:
        """Send an encoded envelope with this tick's batch."""
        outbox = self._outboxes.get(lane)
        if outbox is None:
            outbox = self._outboxes[lane] = _Outbox()
        parts = outbox.parts.get(header)
        if parts is None:
            parts = outbox.parts[header] = []
        parts.append(part)
        self._added(lane, outbox, len(part))

    def send_message(self, lane: Lane, frames: Sequence[Frame]) -> None:
        """Send a message as it is: header, batch, blobs."""
        outbox = self._outboxes.get(lane)
        if outbox is None:
            outbox = self._outboxes[lane] = _Outbox()
        outbox.messages.append(list(frames))
        self._added(lane, outbox, _size_of(frames))

    def is_congested(self, lane: Lane, size: int = 0) -> bool:
        """Say whether more bytes of a lane wait than `size`, or half of either bound."""
        outbox = self._outboxes.get(lane)
        return outbox is not None and (
            outbox.size > (size or limits.OUTBOX_BYTES // 2)
            or 2 * outbox.count > limits.OUTBOX_ENVELOPES
        )

    def drop(self, lane: Lane) -> None:
        """Forget what is still to be sent to a lane."""
        self._outboxes.pop(lane, None)
        self._leaving.pop(lane, None)

    @property
    def origin(self) -> Origin:
        """Where the message came from that is being handed over."""
        return origin_of(self._first) if self._first is not None else UNKNOWN

    def close(self, *, at_once: bool = False) -> None:
        """Send what is left, unless at once, and close."""
        if at_once:
            self._socket.linger = 0
        else:
            self.flush()
        self._loop.remove_reader(self._descriptor)
        if self._monitor is not None:
            self._monitor.close()
        self._socket.close()

    def _ended(self, event: int, value: int) -> None:
        self._pump()  # what came before the end is heard first
        if self._on_end is not None and not self._socket.closed:
            self._on_end(FAILED[event])

    def _added(self, lane: Lane, outbox: _Outbox, size: int) -> None:
        outbox.count += 1
        outbox.size += size
        if outbox.count > limits.OUTBOX_ENVELOPES or outbox.size > limits.OUTBOX_BYTES:
            self.drop(lane)
            self._on_lost(lane)
        if not self._is_due:
            self._pump_soon()

    def _pump_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._pump)

    # -- on the descriptor's edge, and after a send

    def _pump(self) -> None:
        """Send, then read: a send may eat the edge that says there is something to read."""
        self._is_due = False
        if self._socket.closed:
            return
        self.flush()
        socket, lane = self._socket, self._lane
        for _ in range(_MESSAGES_PER_TURN):
            if not _option(socket, zmq.EVENTS) & zmq.POLLIN:
                return
            if lane is None:
                source = _receive(socket)
                frames = self._frames(source) if _option(socket, zmq.RCVMORE) else []
                self._on_message(source, frames)
            else:
                self._on_message(lane, self._frames(lane))
            if socket.closed:
                return
        self._pump_soon()

    def _frames(self, lane: Lane) -> list[Frame]:
        """Receive a message; a few frames too many are kept for who checks it."""
        socket = self._socket
        if lane in self._known:
            self._first = None
            frames: list[Frame] = [_receive(socket)]
        else:
            self._first = first = _receive(socket, 0, False)
            frames = [first.bytes]
        while _option(socket, zmq.RCVMORE):
            frame = _receive(socket) if len(frames) < 2 else _receive(socket, 0, False)
            if len(frames) <= _FRAMES:
                frames.append(frame)
        return frames

    def flush(self) -> None:
        """Hand the socket what it takes."""
        for lane, outbox in list(self._outboxes.items()):
            if self._outboxes.get(lane) is not outbox:
                continue  # it was dropped with a lane before it
            try:
                self._empty(lane, outbox)
            except zmq.Again:
                # The descriptor tells when there is room, but not for which lane.
                self._loop.call_later(_RETRY_S, self._pump_soon)
            except zmq.ZMQError as error:
                if error.errno != zmq.EHOSTUNREACH:
                    raise
                self.drop(lane)
                self._on_lost(lane)
            else:
                if self._outboxes.get(lane) is outbox:
                    del self._outboxes[lane]

    def _empty(self, lane: Lane, outbox: _Outbox) -> None:
        """Send all of an outbox. Raises zmq.Again, with what is left in it."""
        while outbox.messages:
            frames = outbox.messages[0]
            self._put(lane, frames)
            outbox.messages.popleft()
            outbox.count -= 1
            outbox.size -= _size_of(frames)
        for header in list(outbox.parts):
            parts = outbox.parts[header]
            while parts:
                count, size = _fitting(parts)
                self._put(lane, [header, frame_of(parts[:count] if count < len(parts) else parts)])
                del parts[:count]
                outbox.count -= count
                outbox.size -= size
            del outbox.parts[header]

    def _put(self, lane: Lane, frames: list[Frame]) -> None:
        """Send a message, or raise zmq.Again with none of it sent."""
        is_large = _size_of(frames) >= _LARGE_BYTES
        if is_large and self._has_much_leaving(lane):
            raise zmq.Again
        socket = self._socket
        if self._lane is None:
            _send(socket, lane, _MORE)
        last = len(frames) - 1
        for n, frame in enumerate(frames):
            flags = _MORE if n < last else zmq.NOBLOCK
            if is_large and len(frame) >= limits.BLOB_FROM_BYTES:
                tracker = _send(socket, memoryview(frame), flags, False, True)
                self._leaving.setdefault(lane, deque()).append((tracker, len(frame)))
            else:
                _send(socket, frame, flags)

    def _has_much_leaving(self, lane: Lane) -> bool:
        leaving = self._leaving.get(lane, deque())
        while leaving and leaving[0][0].done:
            leaving.popleft()
        return 2 * sum(size for _, size in leaving) > limits.OUTBOX_BYTES


def _bind(socket: zmq.Socket[bytes], endpoint: str, monitor: Monitor | None) -> None:
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        if monitor is not None:
            monitor.close()
        socket.close()
        where = endpoint.partition("://")[2]
        if error.errno == zmq.EADDRINUSE:
            raise ConfigError(f"{where} is taken by another process") from None
        raise ConfigError(f"can't listen on {where}: {error.strerror}") from None


def _size_of(frames: Sequence[Frame]) -> int:
    return sum(map(len, frames))


def _fitting(parts: list[bytes]) -> tuple[int, int]:
    """Return how many of the first parts go into one batch, at least one, and their bytes."""
    size = 0
    for n, part in enumerate(parts):
        if n and (size + len(part) > _BATCH_BYTES or n == _BATCH_PARTS):
            return n, size
        size += len(part)
    return len(parts), size
