"""The nodes of this machine: found by what each leaves in its data directory, in this order.

1. a data directory: the one that is named, JOBD_DATA, else ./jobd-data
2. $XDG_RUNTIME_DIR/jobd: where a node of this user says where its data directory is
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["LocalNode", "local_nodes", "read_text"]


class LocalNode(NamedTuple):
    """A data directory and what is in it.

    `note` is what the running node says of itself (`url`, `cluster`, `pid`, ...), empty while none
    runs; `token` is the one that the node minted at its first start.
    """

    data: str
    note: dict[str, Any]
    token: str | None


def local_nodes(data: str | None, env: Mapping[str, str]) -> Iterator[LocalNode]:
    """Yield the places where a node may be, the first to look at first."""
    yield _look(Path(data or env.get("JOBD_DATA") or "jobd-data"))
    runtime = env.get("XDG_RUNTIME_DIR")
    if runtime:
        pointed = _note(Path(runtime) / "jobd" / "node.json")
        if "data" in pointed:
            yield _look(Path(pointed["data"]))


def read_text(path: Path) -> str | None:
    """Return the text of a file, None when it can't be read."""
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None


def _look(data: Path) -> LocalNode:
    return LocalNode(str(data), _note(data / "run" / "node.json"), read_text(data / "admin.token"))


def _note(path: Path) -> dict[str, Any]:
    """Return a node's own note; one that is being replaced or of another form is none."""
    try:
        found = json.loads(read_text(path) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
