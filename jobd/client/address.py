"""Where nodes are, and with which token: `host:port` of the port that `jobd start --cluster` names.

The first that names an address wins:
1. the argument, or JOBD_ADDRESS: one or several, divided by commas
2. a node of this machine: in JOBD_DATA, ./jobd-data, or where $XDG_RUNTIME_DIR/jobd says
3. 127.0.0.1:7800
The token is the argument, else JOBD_TOKEN, else the one of the node on this machine that is meant.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from actors.errors import InvalidInput
from jobd.discovery import LocalNode, local_nodes

__all__ = ["DEFAULT_ADDRESS", "Target", "find_nodes"]

DEFAULT_ADDRESS: Final = "127.0.0.1:7800"
_ADDRESS: Final = re.compile(
    r"(?:tcp://)?(?P<host>\[[0-9a-fA-F:]+\]|[^\s:/,\[\]]*):(?P<port>[0-9]{1,5})/?"
)


class Target(NamedTuple):
    """Nodes of one cluster, any of which will do, and the token for them.

    `is_found`: nobody named them, so they are looked for again when none answers: a node that
    restarts may come back at another port.
    """

    addresses: tuple[str, ...]
    token: str
    is_found: bool


def find_nodes(
    address: str | Iterable[str] | None = None,
    token: str | None = None,
    env: Mapping[str, str] = os.environ,
) -> Target:
    """Return where to connect to. Raises InvalidInput for an address that is none."""
    given = address or env.get("JOBD_ADDRESS") or ()
    texts = given.split(",") if isinstance(given, str) else list(given)
    named = tuple(_normal(text.strip()) for text in texts if text.strip())
    local = [node for node in local_nodes(None, env) if node.note.get("cluster")]
    addresses = named or _addresses_of(local) or (DEFAULT_ADDRESS,)
    token = token or env.get("JOBD_TOKEN") or _token_of(local, addresses)
    return Target(addresses, token or "", not named)


def _normal(text: str) -> str:
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65_535:
        raise InvalidInput(
            f"{text!r} is no address of a node", remedy="They look like 127.0.0.1:7800."
        )
    return f"{found['host'] or '127.0.0.1'}:{found['port']}"


def _addresses_of(local: list[LocalNode]) -> tuple[str, ...]:
    return (_normal(local[0].note["cluster"]),) if local else ()


def _token_of(local: list[LocalNode], addresses: tuple[str, ...]) -> str | None:
    for node in local:
        if _normal(node.note["cluster"]) in addresses:
            return node.token
    return None
