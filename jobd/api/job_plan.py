"""POST /jobs/plan: what a spec means and what would become of it, without a job."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from actors.core.spec import job_schema
from jobd.api.call import Call, Reply
from jobd.api.job_views import normal_form
from jobd.api.jobs import EXAMPLE, YAML, read_spec
from jobd.api.query import ReadQuery
from jobd.api.route import JSON, Route
from jobd.api.stamp import Stamp, stamp

__all__ = ["ROUTES"]


class Plan(msgspec.Struct, frozen=True):
    """A spec in normal form and its outlook, as of this moment.

    `fits`: some node has room for an attempt now. `reasons` and `nodes` are as in explain.
    """

    spec: dict[str, Any]
    state: str
    due_at: Stamp
    fits: bool
    reasons: list[dict[str, Any]]
    nodes: list[dict[str, Any]]


async def plan_job(call: Call[ReadQuery, bytes]) -> Reply:
    """Say what a spec would become, were it submitted now; nothing is."""
    spec = await read_spec(call.body, call.clock())
    outlook = call.gateway.forecast(spec)
    return Reply(
        Plan(
            spec=normal_form(spec),
            state=outlook["state"],
            due_at=stamp(outlook["due_ms"]),
            fits=any(not node["reasons"] for node in outlook["nodes"]),
            reasons=outlook["reasons"],
            nodes=outlook["nodes"],
        )
    )


ROUTES: Final = (
    Route(
        "POST",
        "/jobs/plan",
        "read",
        plan_job,
        "Say what a spec would become",
        query=ReadQuery,
        body=bytes,
        accepts=(JSON, *YAML),
        content=job_schema,
        example=EXAMPLE,
        returns=Plan,
        errors=("invalid_spec",),
    ),
)
