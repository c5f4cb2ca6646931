"""Handler of /query: SQL over the history."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from actors import limits
from actors.core.history_port import QueryResult, RunQuery
from jobd.api.call import Call, Reply
from jobd.api.query import ReadQuery
from jobd.api.route import Route

__all__ = ["ROUTES"]

MIN_QUERY_S: Final = 1.0  # a query that has less is over before it is planned


class QueryBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One SELECT, with values for its `$1` (a list) or its `$name` (an object)."""

    sql: Annotated[str, Meta(min_length=1)]
    parameters: list[Any] | dict[str, Any] = []
    timeout_s: Annotated[float, Meta(ge=MIN_QUERY_S, le=limits.QUERY_S)] = 10.0
    max_rows: Annotated[int, Meta(ge=1, le=limits.QUERY_ROWS)] = 1000


async def run_query(call: Call[ReadQuery, QueryBody]) -> Reply:
    """Run one SELECT over the history."""
    body = call.body
    query = RunQuery(body.sql, body.parameters, body.timeout_s, body.max_rows)
    return Reply(await call.gateway.past.run(query))


ROUTES: Final = (
    Route(
        "POST",
        "/query",
        "admin",
        run_query,
        "Ask the history in SQL",
        query=ReadQuery,
        body=QueryBody,
        example={"sql": "select state, count(*) from jobs group by state"},
        returns=QueryResult,
        confidential=True,
    ),
)
