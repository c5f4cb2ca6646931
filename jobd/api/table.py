"""The table of all routes."""

from __future__ import annotations

from typing import Final

from jobd.api import (
    actor_tree,
    audit_trail,
    backups,
    client_keys,
    cluster,
    events,
    health,
    hooks,
    job_logs,
    job_plan,
    job_results,
    jobs,
    join_tokens,
    kv,
    pipelines,
    runs,
    schedule_preview,
    schedules,
    secrets,
    sql,
    tokens,
    triggers,
    webhooks,
)
from jobd.api.route import Route

__all__ = ["PREFIX", "ROUTES", "operations"]

PREFIX: Final = "/api/v1"

ROUTES: Final[tuple[Route, ...]] = (
    *jobs.ROUTES,
    *job_plan.ROUTES,
    *job_results.ROUTES,
    *job_logs.ROUTES,
    *pipelines.ROUTES,
    *runs.ROUTES,
    *events.ROUTES,
    *triggers.ROUTES,
    *hooks.ROUTES,
    *webhooks.ROUTES,
    *kv.ROUTES,
    *schedule_preview.ROUTES,
    *schedules.ROUTES,
    *tokens.ROUTES,
    *secrets.ROUTES,
    *sql.ROUTES,
    *audit_trail.ROUTES,
    *cluster.ROUTES,
    *join_tokens.ROUTES,
    *client_keys.ROUTES,
    *actor_tree.ROUTES,
    *backups.ROUTES,
    *health.ROUTES,
)


def operations() -> dict[str, Route]:
    """Return the routes by operation. Raises ValueError when two have one name."""
    table = {route.operation: route for route in ROUTES}
    if len(table) != len(ROUTES):
        raise ValueError("two routes have the same operation")
    return table
