"""The other nodes of a cluster, asked for once by a client that has met one of them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from actors.errors import JobdError
from jobd.api.cluster import NodePage
from jobd.client.address import others_of
from jobd.client.node_operations import list_nodes
from jobd.client.operation import Operation

__all__ = ["NODES", "others_told"]

NODES: Final[Operation[NodePage]] = list_nodes()


def others_told(answer: Any, here: str) -> tuple[str, ...]:
    """Return where the others are, of what the node at `here` answered to NODES.

    A token that may not look is told of none: the client goes on with the addresses that it has.
    """
    with suppress(JobdError):
        return others_of(NODES.value_of(answer).items, here)
    return ()
