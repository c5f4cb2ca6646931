"""One connection of a node to the supervisor."""

from __future__ import annotations

import os
import socket
import struct
from typing import Final

from actors.core.supervisor_protocol import (
    FRAME_BYTES,
    FrameReader,
    Listing,
    NodeFrame,
    SupervisorFrame,
    encode_frame,
)

__all__ = ["Peer"]

_READ_BYTES: Final = 64 * 1024
_BACKLOG_BYTES: Final = 4 * FRAME_BYTES  # unread by the node; then it is disconnected
_HELD_PER_LISTING: Final = 32  # of at most INLINE_OUTPUT_BYTES each, so within a frame


class Peer:
    """Frames in, frames out, never waiting."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._reader = FrameReader(NodeFrame)
        self._out = bytearray()

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._connection.fileno()

    def may_speak(self) -> bool:
        """Whether it is a process of our own user, or of root."""
        credentials = self._connection.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
        )
        _, uid, _ = struct.unpack("3i", credentials)
        return uid in (0, os.geteuid())

    def read(self) -> list[NodeFrame] | None:
        """Return the frames that came, None at the end. Raises InvalidInput, OSError."""
        try:
            data = self._connection.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        return self._reader.feed(data) if data else None

    def send(self, frame: SupervisorFrame) -> bool:
        """Send or queue a frame; False when the peer is gone or doesn't read."""
        for part in _parts(frame):
            self._out += encode_frame(part)
        try:
            self.write()
        except OSError:
            return False
        return len(self._out) <= _BACKLOG_BYTES

    def write(self) -> None:
        """Write what is queued, as much as goes. Raises OSError."""
        while self._out:
            try:
                sent = self._connection.send(self._out)
            except BlockingIOError:
                return
            del self._out[:sent]

    @property
    def has_backlog(self) -> bool:
        """Whether something waits for room in the socket."""
        return bool(self._out)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _parts(frame: SupervisorFrame) -> list[SupervisorFrame]:
    if not isinstance(frame, Listing) or len(frame.held) <= _HELD_PER_LISTING:
        return [frame]
    starts = range(0, len(frame.held), _HELD_PER_LISTING)
    return [
        Listing(
            frame.held[start : start + _HELD_PER_LISTING],
            more=start + _HELD_PER_LISTING < len(frame.held),
        )
        for start in starts
    ]
