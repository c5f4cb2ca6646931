"""Where the node is, and with which token: found without configuration on the node's machine.

The first that names a URL wins:
1. --url and --token, or JOBD_URL and JOBD_TOKEN
2. a data directory: --data or JOBD_DATA, which must have a node in it; else ./jobd-data
3. $XDG_RUNTIME_DIR/jobd: where a node of this user says where its data directory is
4. ~/.config/jobd/config.toml: url, token
5. http://127.0.0.1:8080
With a URL of its own but no token, a command takes the token of the place that names that URL.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from jobd.cli.failure import UNREACHABLE, USAGE, Failure

__all__ = ["DEFAULT_URL", "Found", "discover"]

DEFAULT_URL: Final = "http://127.0.0.1:8080"


class _Place(NamedTuple):
    """A node's URL and a token for it, and what named them; either may be unknown."""

    source: str
    url: str | None
    token: str | None


class Found(NamedTuple):
    """The node to go to. A node that restarts elsewhere is found at the same source."""

    source: str
    url: str
    token: str | None


def discover(url: str | None, token: str | None, data: str | None, env: Mapping[str, str]) -> Found:
    """Return the node to go to.

    Raises Failure on a configuration that can't be read, or when a data directory was named and
    has no running node in it: any other node would be the wrong one.
    """
    url, token = url or env.get("JOBD_URL"), token or env.get("JOBD_TOKEN")
    data = data or env.get("JOBD_DATA")
    if url and token:
        return Found("given", url, token)
    for place in _places(data, env):
        if place.url and (url is None or place.url == url):
            return Found("given" if url else place.source, place.url, token or place.token)
        if data and not url:
            raise Failure(
                f"no node runs in {data}",
                remedy=f"Start one with `jobd start --data {data}`.",
                exit_code=UNREACHABLE,
            )
    return Found("given" if url else "default", url or DEFAULT_URL, token)


def _places(data: str | None, env: Mapping[str, str]) -> Iterator[_Place]:
    yield _data_directory(Path(data or "jobd-data"))
    runtime = env.get("XDG_RUNTIME_DIR")
    if runtime:
        pointed = _json(Path(runtime) / "jobd" / "node.json")
        if "data" in pointed:
            yield _data_directory(Path(pointed["data"]))
    home = env.get("XDG_CONFIG_HOME") or os.path.join(env.get("HOME", "~"), ".config")  # noqa: PTH118
    yield _config(Path(home) / "jobd" / "config.toml")


def _data_directory(data: Path) -> _Place:
    node = _json(data / "run" / "node.json")
    return _Place(str(data), node.get("url"), _text(data / "admin.token"))


def _config(path: Path) -> _Place:
    text = _text(path)
    if text is None:
        return _Place(str(path), None, None)
    import tomllib

    try:
        config = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise Failure(f"{path}: {e}", remedy="Mend or remove the file.", exit_code=USAGE) from None
    return _Place(str(path), config.get("url"), config.get("token"))


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
