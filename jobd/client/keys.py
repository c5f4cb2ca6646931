"""The keys of a client: a node that has one is KEY@HOST:PORT, and wants one of whoever connects.

A client's own key is a file, by `jobd keys new --client FILE`. The first of these that there is:
1. the file that JOBD_KEY_FILE names
2. keys/local.curve in the data directory of a node of this machine, for that node
3. jobd/client.curve in $XDG_CONFIG_HOME, or ~/.config
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from actors.errors import ConfigError
from actors.runtime.curve import Curve, key_of_text
from actors.runtime.key_file import read_key_file
from jobd.discovery import local_nodes, node_in

__all__ = ["curve_for", "key_file_for", "key_part", "place_of"]

_LOCAL: Final = Path("keys") / "local.curve"


def key_part(address: str) -> str:
    """Return the key of a node's address, "" for one without."""
    return address.rpartition("@")[0]


def place_of(address: str) -> str:
    """Return HOST:PORT of a node's address."""
    return address.rpartition("@")[2]


def key_file_for(address: str, env: Mapping[str, str] = os.environ) -> str:
    """Return the file of the key to come with, "" for a node without keys.

    Raises ConfigError when there is none.
    """
    key = key_part(address)
    if not key:
        return ""
    for path in _files(key, env):
        if path.exists():
            return str(path)
    raise ConfigError(
        f"{place_of(address)} wants a key of whoever connects",
        remedy="`jobd keys new --client FILE` makes one, which JOBD_KEY_FILE names",
    )


def curve_for(address: str, env: Mapping[str, str] = os.environ) -> Curve | None:
    """Return the pair to connect with, None for a node without keys. Raises ConfigError."""
    file = key_file_for(address, env)
    if not file:
        return None
    own = read_key_file(Path(file))
    if own is None:
        raise ConfigError(f"{file} is gone", remedy="`jobd keys new --client FILE` makes another")
    return own.to(key_of_text(key_part(address)))


def _files(key: str, env: Mapping[str, str]) -> Iterator[Path]:
    named = env.get("JOBD_KEY_FILE")
    if named:
        yield Path(named)
        return
    data = env.get("JOBD_DATA")
    own = node_in(Path(data)) if data else None
    for node in (*([own] if own is not None else []), *local_nodes(env)):
        if any(key_part(each) == key for each in node.note.get("cluster", "").split(",")):
            yield Path(node.data) / _LOCAL
    home = env.get("XDG_CONFIG_HOME") or Path(env.get("HOME", "~")).expanduser() / ".config"
    yield Path(home) / "jobd" / "client.curve"
