"""Where the node is, and with which token: found without configuration on the node's machine.

The first that says where wins; of those that stand together, the first named here:
1. the command line: --url (one or several, by commas), --data, --context
2. the environment: JOBD_URL, JOBD_DATA, JOBD_CONTEXT
3. the current context of ~/.config/jobd/config.toml, unless it is `local`
4. what is found on this machine: a node in ./jobd-data; a node of this user, which says in
   $XDG_RUNTIME_DIR/jobd where its data directory is; http://127.0.0.1:8080
A token is --token, else JOBD_TOKEN, else the one of the place that names the URL.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from jobd.cli.config_file import LOCAL, ConfigFile
from jobd.cli.failure import UNREACHABLE, Failure
from jobd.discovery import LocalNode, local_nodes, node_in

__all__ = ["DEFAULT_URL", "Found", "Given", "discover"]

DEFAULT_URL: Final = "http://127.0.0.1:8080"


class Given(NamedTuple):
    """What the command line says of where the node is."""

    url: str | None = None
    token: str | None = None
    data: str | None = None
    context: str | None = None


class Found(NamedTuple):
    """The nodes to go to, any of which will do.

    One that restarts elsewhere is found at the same source.
    """

    source: str
    urls: tuple[str, ...]
    token: str | None


def discover(given: Given, env: Mapping[str, str]) -> Found:
    """Return the nodes to go to.

    Raises Failure on a configuration that can't be read, on a context that is not there, or when a
    data directory was named and has no running node in it: any other node would be the wrong one.
    """
    url, token, data, context = given
    token = token or env.get("JOBD_TOKEN")
    if not (url or data or context):
        url, data, context = (env.get(f"JOBD_{name}") for name in ("URL", "DATA", "CONTEXT"))
    if url:
        urls = tuple(text.strip() for text in url.split(",") if text.strip())
        return Found("given", urls, token or _token_of(urls, data or env.get("JOBD_DATA"), env))
    if data:
        found = _node_in(Path(data))
        if found is None:
            raise Failure(
                f"no node runs in {data}",
                remedy=f"Start one with `jobd start --data {data}`.",
                exit_code=UNREACHABLE,
            )
        return found._replace(token=token or found.token)
    config = ConfigFile.read(env)
    name = context or config.current
    if name != LOCAL:
        chosen = config.context(name)
        return Found(f"context {name}", chosen.urls, token or chosen.token)
    for found in _local_nodes(env):
        return found._replace(token=token or found.token)
    return Found("default", (DEFAULT_URL,), token)


def _token_of(urls: tuple[str, ...], data: str | None, env: Mapping[str, str]) -> str | None:
    named = _node_in(Path(data)) if data else None
    first = [] if named is None else [named]
    for found in (*first, *_local_nodes(env)):
        if set(urls) & set(found.urls):
            return found.token
    for context in ConfigFile.read(env).contexts.values():
        if set(urls) & set(context.urls):
            return context.token
    return None


def _local_nodes(env: Mapping[str, str]) -> Iterator[Found]:
    return (found for node in local_nodes(env) if (found := _found(node)) is not None)


def _node_in(data: Path) -> Found | None:
    node = node_in(data)
    return _found(node) if node is not None else None


def _found(node: LocalNode) -> Found | None:
    url = node.note.get("url")
    return Found(node.data, tuple(str(url).split(",")), node.token) if url else None
