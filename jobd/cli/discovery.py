"""Where the node is, and with which token: found without configuration on the node's machine.

The first that names a URL wins:
1. --url and --token, or JOBD_URL and JOBD_TOKEN
2. a data directory with a node in it: --data or JOBD_DATA, else ./jobd-data
3. $XDG_RUNTIME_DIR/jobd: where a node of this user says where its data directory is
4. ~/.config/jobd/config.toml: url, token
5. http://127.0.0.1:8080
A token that was not given comes from the place that gave the URL, or from the first that has one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from jobd.cli.failure import USAGE, Failure

__all__ = ["DEFAULT_URL", "Place", "discover"]

DEFAULT_URL: Final = "http://127.0.0.1:8080"


class Place(NamedTuple):
    """A node's URL and a token for it; either may be unknown."""

    url: str | None
    token: str | None


def discover(
    url: str | None, token: str | None, data: str | None, env: Mapping[str, str]
) -> tuple[str, str | None]:
    """Return the URL to go to, and a token for it if one is known.

    Raises Failure on a configuration that can't be read.
    """
    url, token = url or env.get("JOBD_URL"), token or env.get("JOBD_TOKEN")
    if url and token:
        return url, token
    for place in _places(data, env):
        if place.url and (url is None or place.url == url):
            return place.url, token or place.token
    return url or DEFAULT_URL, token


def _places(data: str | None, env: Mapping[str, str]) -> Iterator[Place]:
    yield _data_directory(Path(data or env.get("JOBD_DATA") or "jobd-data"))
    runtime = env.get("XDG_RUNTIME_DIR")
    if runtime:
        pointed = _json(Path(runtime) / "jobd" / "node.json")
        if "data" in pointed:
            yield _data_directory(Path(pointed["data"]))
    home = env.get("XDG_CONFIG_HOME") or os.path.join(env.get("HOME", "~"), ".config")  # noqa: PTH118
    yield _config(Path(home) / "jobd" / "config.toml")


def _data_directory(data: Path) -> Place:
    node = _json(data / "run" / "node.json")
    return Place(node.get("url"), _text(data / "admin.token"))


def _config(path: Path) -> Place:
    text = _text(path)
    if text is None:
        return Place(None, None)
    import tomllib

    try:
        config = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise Failure(f"{path}: {e}", remedy="Mend or remove the file.", exit_code=USAGE) from None
    return Place(config.get("url"), config.get("token"))


def _json(path: Path) -> dict[str, Any]:
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
