"""CURVE keys: who a process is on an encrypted link, and whom it expects at the other end.

Keys are 32 bytes; as text they are 64 hexadecimal digits, which no shell and no URL mistakes for
anything else. ZeroMQ's own text form (Z85) stays in this file.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import zmq
from zmq.utils import z85

from actors.errors import InvalidInput

__all__ = ["KEY_BYTES", "Curve", "key_of_text", "new_curve", "public_of"]

KEY_BYTES: Final = 32
_TEXT: Final = re.compile(rf"[0-9a-fA-F]{{{2 * KEY_BYTES}}}")


class Curve(NamedTuple):
    """A key pair. `server`: whom one connects to, empty for who binds."""

    public: bytes
    secret: bytes
    server: bytes = b""

    def to(self, server: bytes) -> Curve:
        """Return the same pair for a connection to the owner of a key."""
        return self._replace(server=server)

    def apply(self, socket: zmq.Socket[bytes]) -> None:
        """Have a socket encrypt, as the side that connects where a server is named."""
        socket.curve_publickey = z85.encode(self.public)
        socket.curve_secretkey = z85.encode(self.secret)
        if self.server:
            socket.curve_serverkey = z85.encode(self.server)
        else:
            socket.curve_server = True


def new_curve() -> Curve:
    """Draw a key pair."""
    public, secret = zmq.curve_keypair()
    return Curve(z85.decode(public), z85.decode(secret))


def public_of(secret: bytes) -> bytes:
    """Return the public key of a secret one."""
    return bytes(z85.decode(zmq.curve_public(z85.encode(secret))))


def key_of_text(text: str) -> bytes:
    """Return a key from its text. Raises InvalidInput."""
    if not _TEXT.fullmatch(text):
        raise InvalidInput(
            f"{text[:80]!r} is no key", remedy="Keys are 64 hexadecimal digits: `jobd keys show`."
        )
    return bytes.fromhex(text)
