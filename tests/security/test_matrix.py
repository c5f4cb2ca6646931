"""Every role on every route by every method, generated from the table: a new route is in by itself.

`SCOPE_OF` says which scope each operation is to have, apart from the table that the node serves by:
a route that is not in it, or that lost its scope, fails here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from typing import Final

import pytest

from actors import limits
from actors.model.token import SCOPES
from jobd.api.route import SSE, Route
from jobd.http.app import route_table
from tests.unit.http.facade import Facade, facade
from tests.unit.http.memory_gateway import NOW_MS

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
SCOPE_OF: Final = {
    "public": {
        "get_liveness",
        "get_readiness",
        "receive_webhook",
    },
    "read": {
        "draw_run",
        "explain_job",
        "get_actor",
        "get_artifact",
        "get_cluster",
        "get_hook",
        "get_job",
        "get_node",
        "get_openapi",
        "get_output",
        "get_pipeline",
        "get_run",
        "get_schedule",
        "get_status",
        "get_trigger",
        "get_value",
        "list_actors",
        "list_artifacts",
        "list_attempts",
        "list_deliveries",
        "list_events",
        "list_hooks",
        "list_job_events",
        "list_jobs",
        "list_nodes",
        "list_pipeline_runs",
        "list_pipelines",
        "list_run_events",
        "list_runs",
        "list_schedules",
        "list_triggers",
        "list_upcoming",
        "list_values",
        "plan_job",
        "preview_schedule",
        "read_logs",
        "stream_events",
        "stream_logs",
        "validate_pipeline",
    },
    "run": {
        "answer_gate",
        "backfill_schedule",
        "cancel_job",
        "cancel_run",
        "fire_schedule",
        "rerun",
        "retry_job",
        "submit_batch",
        "submit_job",
        "trigger_pipeline",
    },
    "write": {
        "cordon_node",
        "delete_hook",
        "delete_job",
        "delete_pipeline",
        "delete_schedule",
        "delete_trigger",
        "delete_value",
        "drain_node",
        "emit_event",
        "pause_schedule",
        "put_hook",
        "put_pipeline",
        "put_schedule",
        "put_trigger",
        "put_value",
        "redeliver",
        "resume_schedule",
        "uncordon_node",
    },
    "admin": {
        "add_member",
        "create_join_token",
        "create_token",
        "delete_client_key",
        "delete_secret",
        "list_audit",
        "list_client_keys",
        "list_join_tokens",
        "list_secrets",
        "list_tokens",
        "put_client_key",
        "put_secret",
        "remove_member",
        "revoke_join_token",
        "revoke_token",
        "run_query",
        "stage_backup",
        "verify_audit",
    },
}
ROLES: Final = [set(), *(set(c) for n in range(1, 5) for c in combinations(SCOPES, n))]
CASES: Final = [
    pytest.param(path, method, id=f"{method} {path}")
    for path in sorted({path for path, _ in route_table()})
    for method in METHODS
]


@pytest.fixture(scope="module")
def shared() -> Iterator[Facade]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("REFUSED_BURST", "REQUESTS_BURST"):
            patch.setattr(limits, name, 1_000_000)
        with facade() as one:
            yield one


@pytest.fixture(scope="module")
def tokens(shared: Facade) -> list[tuple[set[str], str]]:
    """A token for every set of scopes; the gateway would give one without any scope all of them."""
    return [(role, shared.do(shared.gateway.mint, *(role or {"none"}))) for role in ROLES]


def test_every_operation_has_the_scope_that_it_is_to_have() -> None:
    wanted = {operation: scope for scope, them in SCOPE_OF.items() for operation in them}
    assert {route.operation: route.scope for _, route in route_table()} == wanted


def test_what_only_reads_never_changes() -> None:
    """A read token can't cause a change: whatever changes is in another scope.

    A webhook has its trigger's scheme in the place of a scope.
    """
    assert [
        r.operation for _, r in route_table() if r.changes and r.scope in ("read", "public")
    ] == ["receive_webhook"]


@pytest.mark.parametrize(("path", "method"), CASES)
def test_who_may(
    shared: Facade, tokens: list[tuple[set[str], str]], path: str, method: str
) -> None:
    """401 without a valid token, 403 without the scope, 405 where there is no such method."""
    concrete = _some(path)
    route = _route_of(method, concrete)
    expired = shared.do(shared.gateway.mint, *SCOPES, expires_ms=NOW_MS - 1)
    revoked = shared.do(shared.gateway.mint, *SCOPES)
    shared.do(shared.gateway.revoke, revoked)
    is_public = route is not None and route.scope == "public"
    for token in (None, expired, revoked, "jobd_nobody_00"):
        status = shared.ask(method, concrete, token=token).status
        assert status in (200, 404, 503) if is_public else status == 401
    for role, token in tokens:
        if route is None:
            assert shared.ask(method, concrete, token=token).status == 405
        elif is_public or route.scope in role or "admin" in role:
            if route.produces != SSE:  # of no job: an open stream has no status to wait for
                assert shared.ask(method, concrete, token=token).status not in (401, 403, 405)
        else:
            assert shared.ask(method, concrete, token=token).status == 403, role


def _some(path: str) -> str:
    return re.sub(r"{\w+(:[^}]*)?}", "x1", path)


def _route_of(method: str, concrete: str) -> Route | None:
    """Return the route that serves this, found without the node's own router.

    HEAD is a GET, but of a stream; /jobs/plan is no job with the id `plan`.
    """
    for path, route in route_table():
        asked = {route.method, "HEAD"} if route.method == "GET" else {route.method}
        if method in asked and _some(path) == concrete:
            return None if method == "HEAD" and route.produces == SSE else route
    return None
