"""Handles of users' actors: they belong to the process, not to a client (`import actors`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors import ActorHandle

__all__ = ["NAMESPACE", "find_actor"]

NAMESPACE = "default"


def find_actor(address: str, token: str, name: str, namespace: str) -> ActorHandle:
    """Return the actor of a name, over this process's link, which the first use makes.

    A process has one link: one that `actors.connect` made before is used. Raises NotFound.
    """
    from actors.runtime.remote.process import process
    from actors.runtime.remote.verbs import connect, get_actor

    if process().connection is None:
        connect(f"tcp://{address}", token=token)
    return get_actor(name, namespace=namespace)
