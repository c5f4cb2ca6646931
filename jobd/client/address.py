"""Where nodes are, and with which token: `host:port` of the port that `jobd start --cluster` names.

The first that names an address wins:
1. the argument, or JOBD_ADDRESS: one or several, divided by commas
2. the node in JOBD_DATA
3. a node of this machine: in ./jobd-data, or where $XDG_RUNTIME_DIR/jobd says
4. 127.0.0.1:7800
A node that has keys is KEY@HOST:PORT; see `jobd.client.keys` for the client's own.
The token is the argument, else JOBD_TOKEN, else the one of the node on this machine that is meant.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from actors.errors import ActorUnavailable, InvalidInput
from jobd.api.node_views import NodeView
from jobd.client.keys import key_part
from jobd.discovery import LocalNode, local_nodes, node_in

__all__ = ["DEFAULT_ADDRESS", "GIVEN", "Target", "find_nodes", "others_of"]

GIVEN: Final = "given"
DEFAULT_ADDRESS: Final = "127.0.0.1:7800"
_ADDRESS: Final = re.compile(
    r"(?:tcp://)?(?:(?P<key>[0-9a-fA-F]{64})@)?"
    r"(?P<host>\[[0-9a-fA-F:]+\]|[^\s:/,\[\]]*):(?P<port>[0-9]{1,5})/?"
)


class Target(NamedTuple):
    """Nodes of one cluster, any of which will do, and the token for them.

    A node that restarts elsewhere is found at the same source; what was GIVEN is not looked for.
    """

    addresses: tuple[str, ...]
    token: str
    source: str


def find_nodes(
    address: str | Iterable[str] | None = None,
    token: str | None = None,
    env: Mapping[str, str] = os.environ,
) -> Target:
    """Return where to connect to.

    Raises InvalidInput for an address that is none, ActorUnavailable when a data directory was
    named and no node runs in it: any other node would be the wrong one.
    """
    given = address or env.get("JOBD_ADDRESS") or ()
    texts = given.split(",") if isinstance(given, str) else list(given)
    named = tuple(_normal(text.strip()) for text in texts if text.strip())
    token = token or env.get("JOBD_TOKEN")
    if named:
        return Target(named, token or _token_of(named, env), GIVEN)
    for node in _candidates(env):
        return Target(_cluster_of(node), token or node.token or "", node.data)
    return Target((DEFAULT_ADDRESS,), token or "", "default")


def others_of(nodes: Iterable[NodeView], here: str) -> tuple[str, ...]:
    """Return where other nodes are, as far as they can be reached from where `here` is.

    Another machine's loopback is not ours, and an address of all interfaces names none. Of nodes
    with keys the addresses alone don't help.
    """
    if key_part(here):
        return ()
    found = (node.addresses.get("cluster", "") for node in nodes if node.state == "up")
    usable = (text for text in found if _ADDRESS.fullmatch(text) and not _is_anywhere(text))
    local = _is_loopback(here)
    return tuple(_normal(text) for text in usable if local or not _is_loopback(text))


def _is_anywhere(address: str) -> bool:
    return address.rpartition(":")[0].strip("[]") in ("", "0.0.0.0", "::")  # noqa: S104 - refused


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    return host in ("localhost", "::1") or host.startswith("127.")


def _candidates(env: Mapping[str, str]) -> Iterator[LocalNode]:
    data = env.get("JOBD_DATA")
    if not data:
        yield from (node for node in local_nodes(env) if "cluster" in node.note)
        return
    node = node_in(Path(data))
    if node is None or "cluster" not in node.note:
        raise ActorUnavailable(
            f"no node runs in {data}",
            maybe_executed=False,
            remedy=f"Start one with `jobd start --data {data}`.",
        )
    yield node


def _cluster_of(node: LocalNode) -> tuple[str, ...]:
    """Return where a node is reached; a development cluster names those of all its nodes."""
    return tuple(map(_normal, node.note.get("cluster", DEFAULT_ADDRESS).split(",")))


def _normal(text: str) -> str:
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65_535:
        raise InvalidInput(
            f"{text!r} is no address of a node", remedy="They look like 127.0.0.1:7800."
        )
    place = f"{found['host'] or '127.0.0.1'}:{found['port']}"
    return f"{found['key'].lower()}@{place}" if found["key"] else place


def _token_of(addresses: tuple[str, ...], env: Mapping[str, str]) -> str:
    data = env.get("JOBD_DATA")
    named = node_in(Path(data)) if data else None
    first = [] if named is None else [named]
    for node in (*first, *local_nodes(env)):
        if node.token and set(_cluster_of(node)) & set(addresses):
            return node.token
    return ""
