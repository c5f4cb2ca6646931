"""Handlers of the node itself: its status, and the two questions of whoever watches it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from jobd.api.call import Call, Reply
from jobd.api.gateway import NodeStatus
from jobd.api.query import ReadQuery
from jobd.api.route import Route

__all__ = ["HEALTH_ROUTES", "ROUTES"]


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """`reason`: what a node that takes no work waits for."""

    ok: bool
    reason: str = ""


async def get_status(call: Call[ReadQuery, None]) -> Reply:
    """Return what this node says of itself."""
    return Reply(call.gateway.status())


async def get_liveness(call: Call[Any, None]) -> Reply:
    """Answer that the process lives."""
    return Reply(Health(True))


async def get_readiness(call: Call[Any, None]) -> Reply:
    """Answer whether the node takes work: 200, or 503 with the reason."""
    ready, reason = call.gateway.health()
    return Reply(Health(ready, reason), status=200 if ready else 503)


ROUTES: Final = (
    Route(
        "GET",
        "/status",
        "read",
        get_status,
        "Get this node's status",
        query=ReadQuery,
        returns=NodeStatus,
    ),
)
HEALTH_ROUTES: Final = (
    Route("GET", "/healthz", "public", get_liveness, "Liveness", returns=Health),
    Route("GET", "/readyz", "public", get_readiness, "Readiness", returns=Health, others=(503,)),
)
