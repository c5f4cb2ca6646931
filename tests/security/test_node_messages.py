"""What nodes say to each other is closed to clients, whatever their token."""

from __future__ import annotations

import pytest

from jobd.node.cluster_port import _vocabulary
from jobd.node.wiring.links import NODE_TYPES

# What a client may send, by what its token must hold: "" is any token.
OPEN = {
    "ApiRequest": "",
    "Inspect": "read",
    "ListActors": "read",
    "Ping": "read",
    "Register": "run",
    "Resolve": "read",
    "Unregister": "run",
}


@pytest.mark.parametrize("kind", NODE_TYPES, ids=lambda kind: kind.__name__)
def test_a_message_of_nodes_is_not_open(kind: type) -> None:
    assert _vocabulary(NODE_TYPES).scope_of(kind.__name__) is None


def test_nothing_else_is_open() -> None:
    assert _vocabulary(NODE_TYPES)._scopes == OPEN
