"""Handlers of /audit: who did what, and whether anybody tampered with the record of it."""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from actors.core.audit import AuditRecord, Head, Verdict
from actors.errors import InvalidInput
from jobd.api.call import Call, Reply
from jobd.api.cursor import make_cursor, read_number
from jobd.api.query import ListQuery, ReadQuery, Since, moment_or_ago
from jobd.api.route import Route
from jobd.api.stamp import Stamp, stamp

__all__ = ["ROUTES"]

_HEAD: Final = re.compile(r"([1-9][0-9]{0,15}):([0-9a-f]{64})")


class AuditQuery(ListQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Newest first. `actor` is a token's id or name; `since` a moment, or how long ago (`2h`)."""

    actor: str | None = None
    operation: str | None = None
    decision: str | None = None
    since: Since | None = None


class VerifyQuery(ReadQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`head` is `<n>:<digest>`, as an earlier check told it: that record must still be there."""

    head: Annotated[str, Meta(extra_json_schema={"pattern": f"^{_HEAD.pattern}$"})] | None = None


class AuditView(msgspec.Struct, frozen=True, kw_only=True):
    """A record. `count` is above 1 for repeats of a refusal that were counted."""

    n: int
    time: Stamp
    actor: str
    name: str
    door: str
    remote: str
    operation: str
    subject: str
    decision: str
    outcome: str
    request: str
    args: str
    count: int
    prev: str


class AuditPageView(msgspec.Struct, frozen=True):
    """Records. A page may be short though `next_cursor` is there: it looks at a part."""

    items: list[AuditView]
    next_cursor: str | None


class VerdictView(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the chain is whole. Keep `head` elsewhere: with it, a cut-off end is found."""

    whole: bool
    problem: str
    records: int
    first: int
    head: str


async def list_audit(call: Call[AuditQuery, None]) -> Reply:
    """List records of the audit trail, the newest first."""
    query = call.query
    limit, last = query.limit, read_number(query)
    since_ms = moment_or_ago("since", query.since, call.clock())

    def wanted(record: AuditRecord) -> bool:
        return (
            record.time_ms >= since_ms
            and query.actor in (None, record.actor, record.name)
            and query.operation in (None, record.operation)
            and query.decision in (None, record.decision)
        )

    page = await call.gateway.audit.read(last, limit, wanted)
    cursor = make_cursor(str(page.before), query) if page.before else None
    return Reply(AuditPageView([_view(record) for record in page.records], cursor))


async def verify_audit(call: Call[VerifyQuery, None]) -> Reply:
    """Check the chain of the audit trail."""
    verdict = await call.gateway.audit.verify(_head(call.query.head))
    return Reply(_verdict_view(verdict))


def _head(text: str | None) -> Head | None:
    if text is None:
        return None
    match = _HEAD.fullmatch(text)
    if match is None:
        raise InvalidInput(f"head must be <n>:<digest> as `verify` shows it, not {text!r}")
    return Head(int(match[1]), match[2])


def _view(record: AuditRecord) -> AuditView:
    fields = msgspec.structs.asdict(record)
    return AuditView(time=stamp(fields.pop("time_ms")), **fields)


def _verdict_view(verdict: Verdict) -> VerdictView:
    return VerdictView(
        whole=not verdict.problem,
        problem=verdict.problem,
        records=verdict.records,
        first=verdict.first,
        head=f"{verdict.head_n}:{verdict.head_digest}",
    )


ROUTES: Final = (
    Route(
        "GET",
        "/audit",
        "admin",
        list_audit,
        "List records of the audit trail",
        query=AuditQuery,
        returns=AuditPageView,
    ),
    Route(
        "GET",
        "/audit/verify",
        "admin",
        verify_audit,
        "Check the chain of the audit trail",
        query=VerifyQuery,
        returns=VerdictView,
    ),
)
