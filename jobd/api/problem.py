"""Errors on the wire: RFC 9457 problem details, from the one error tree.

`type` is `urn:jobd:problem:<code>`: the stable name that programs go by. One table says which
status each code has.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from actors import errors

__all__ = ["STATUS", "Place", "ProblemDetails", "problem_of"]

STATUS: Final[dict[str, tuple[int, str]]] = {
    "actor_died": (503, "Actor died"),
    "actor_unavailable": (503, "Unavailable"),
    "busy": (429, "Busy"),
    "cancelled": (409, "Cancelled"),
    "config": (500, "Configuration error"),
    "conflict": (409, "Conflict"),
    "corrupt": (500, "Corrupt data"),
    "data_directory": (500, "Data directory unusable"),
    "dead_letter": (503, "No such actor"),
    "forbidden": (403, "Forbidden"),
    "idempotency_mismatch": (422, "Idempotency key reused"),
    "in_flight": (409, "Request in flight"),
    "internal": (500, "Internal error"),
    "invalid_input": (400, "Invalid request"),
    "invalid_spec": (422, "Invalid spec"),
    "mailbox_full": (429, "Busy"),
    "method_not_allowed": (405, "Method not allowed"),
    "no_quorum": (503, "No quorum"),
    "node_unreachable": (503, "Node unreachable"),
    "not_found": (404, "Not found"),
    "outcome_unknown": (503, "Outcome unknown"),
    "precondition_failed": (412, "Precondition failed"),
    "read_only": (503, "Read-only"),
    "sealing_key_lost": (500, "Sealing key lost"),
    "storage_failed": (503, "Storage failed"),
    "task_failed": (500, "An actor's method failed"),
    "timeout": (503, "No answer in time"),
    "too_large": (413, "Too large"),
    "unauthenticated": (401, "Not authenticated"),
    "unavailable": (503, "Unavailable"),
    "unsupported_media_type": (415, "Unsupported media type"),
}


class Place(msgspec.Struct, frozen=True):
    """One thing wrong with a body; `line` and `column` count from 1, 0 is unknown."""

    path: str
    line: int
    column: int
    message: str


class ProblemDetails(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """RFC 9457; `instance` is the request's id, `remedy` one sentence on what to do."""

    type: str
    title: str
    status: int
    detail: str = ""
    instance: str = ""
    remedy: str = ""
    errors: list[Place] = []
    # `unknown`: a write may hold; false: it was not even submitted
    accepted: bool | Literal["unknown"] | None = None
    idempotency_key: str = ""
    job_id: str = ""
    revision: int = 0  # of 412: where the object is; absent when it is gone


def problem_of(
    error: errors.JobdError, *, code: str | None = None, instance: str = ""
) -> ProblemDetails:
    """Return the problem that an error is; `code` overrides what the error calls itself."""
    code = code or error.code
    status, title = STATUS[code]
    accepted: bool | Literal["unknown"] | None = None
    if isinstance(error, errors.OutcomeUnknown):
        accepted = "unknown"
    elif isinstance(error, errors.NoQuorum):
        accepted = False
    return ProblemDetails(
        type=f"urn:jobd:problem:{code}",
        title=title,
        status=status,
        detail=error.message,
        instance=instance,
        remedy=error.remedy,
        errors=(
            [Place(*problem) for problem in error.problems]
            if isinstance(error, errors.InvalidSpec)
            else []
        ),
        accepted=accepted,
        idempotency_key=error.idempotency_key if isinstance(error, errors.OutcomeUnknown) else "",
        job_id=error.job_id if isinstance(error, errors.OutcomeUnknown) else "",
        revision=error.revision if isinstance(error, errors.PreconditionFailed) else 0,
    )
