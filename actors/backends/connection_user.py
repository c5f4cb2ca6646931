"""Which user of this machine is at the other end of a TCP connection over loopback.

Any user may connect to a port on loopback. The kernel knows whose each socket is, and lists it in
/proc/net: what a Unix socket's peer credentials would tell.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from typing import Final

__all__ = ["user_at"]

_TABLES: Final = {
    socket.AF_INET: Path("/proc/net/tcp"),
    socket.AF_INET6: Path("/proc/net/tcp6"),
}
_LOCAL, _REMOTE, _USER = 1, 2, 7  # columns


def user_at(remote: tuple[str, int], local: tuple[str, int]) -> int | None:
    """Return the user id of the socket at the remote end; None when it is none of this machine."""
    for family, table in _TABLES.items():
        try:
            there, here = _hex(family, remote), _hex(family, local)
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            if columns[_LOCAL] == there and columns[_REMOTE] == here:
                return int(columns[_USER])
    return None


def _hex(family: socket.AddressFamily, address: tuple[str, int]) -> str:
    """Return an address as the tables have it. Raises OSError for one of another family."""
    packed = socket.inet_pton(family, address[0])
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words) + f":{address[1]:04X}"
