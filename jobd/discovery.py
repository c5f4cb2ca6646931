"""The nodes of this machine, found by what each leaves in its data directory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["LocalNode", "local_nodes", "node_in"]


class LocalNode(NamedTuple):
    """A node that runs in a data directory.

    `note` is what it says of itself (`url`, `cluster`, `pid`, ...), `token` the one that it minted
    at its first start, if this user may read it.
    """

    data: str
    note: dict[str, Any]
    token: str | None


def node_in(data: Path) -> LocalNode | None:
    """Return the node of a data directory, None while none runs there."""
    note = _note(data / "run" / "node.json")
    return LocalNode(str(data), note, _text(data / "admin.token")) if note else None


def local_nodes(env: Mapping[str, str]) -> Iterator[LocalNode]:
    """Yield the nodes that nobody has to name.

    In ./jobd-data; in ./jobd-dev, where `jobd dev` stands for all its nodes, divided by commas;
    where a node of this user says in $XDG_RUNTIME_DIR/jobd that its data are.
    """
    places = [Path("jobd-data"), Path("jobd-dev")]
    runtime = env.get("XDG_RUNTIME_DIR")
    pointed = _note(Path(runtime) / "jobd" / "node.json") if runtime else {}
    if "data" in pointed:
        places.append(Path(pointed["data"]))
    yield from (node for place in places if (node := node_in(place)) is not None)


def _note(path: Path) -> dict[str, Any]:
    """Return a node's own note; one that is being replaced or of another form is none."""
    try:
        found = json.loads(_text(path) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
