"""Handles of users' actors: they belong to the process, not to a client (`import actors`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobd.client.keys import key_file_for

if TYPE_CHECKING:
    from actors import ActorHandle

__all__ = ["NAMESPACE", "connect_actors", "find_actor"]

NAMESPACE = "default"


def connect_actors(address: str, token: str) -> None:
    """Link this process to a node, unless it has a link: a process has one."""
    from actors.runtime.remote.process import process
    from actors.runtime.remote.verbs import connect

    if process().connection is None:
        connect(f"tcp://{address}", token=token, key_file=key_file_for(address))


def find_actor(address: str, token: str, name: str, namespace: str) -> ActorHandle:
    """Return the actor of a name, over this process's link. Raises NotFound."""
    from actors.runtime.remote.verbs import get_actor

    connect_actors(address, token)
    return get_actor(name, namespace=namespace)
