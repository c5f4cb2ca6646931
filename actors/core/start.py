"""What a fire, an event, a webhook or a hook starts: a job of a template, or a pipeline's run.

Rules of this file:
S1  The transaction is merged with its cause's own checks and ops, so that what was started and that
    it was started are one fact: neither is without the other.
S2  at(template): what starts is what the cause's view says, never half of a later definition.
S3  What can't start is `Refused` with its reason; the cause records it and goes on. It never hangs.
S4  A chain of causes is at most CAUSE_DEPTH long: a loop of a user's own making ends there.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from actors import limits
from actors.core.job import KeyUse, accept, cancel
from actors.core.store.txn import Txn, at
from actors.core.view import View
from actors.errors import InvalidSpec
from actors.model import keys
from actors.model.cause import Cause
from actors.model.codec import encode
from actors.model.idempotency import hash_key
from actors.model.job import TERMINAL
from actors.model.run import RUN_TERMINAL
from actors.model.spec import Concurrency, JobSpec
from actors.model.target import Target

__all__ = ["Refused", "end", "is_open", "start"]

_NOWHERE: Final = (0, 0)


class Refused(NamedTuple):
    """Nothing starts. `reason`: `cause_depth`, `no_template`, `input`, `duplicate`.

    Of a pipeline: `pipeline` (there is none), `inputs`.
    """

    reason: str
    detail: str


def start(
    view: View,
    target: Target,
    *,
    new_id: str,
    cause: Cause,
    given_input: Any = None,
    now_ms: int,
    principal: str,
    trace: str = "",
) -> Txn | Refused:
    """Return the transaction that starts a target, or why it can't start.

    `given_input` is its input; None leaves the template's own. `new_id` is the id of the job or run
    to be, `principal` the token that answers for it, `trace` the traceparent that it goes on.
    """
    if cause.depth > limits.CAUSE_DEPTH:
        return Refused(
            "cause_depth",
            f"the chain of causes is longer than CAUSE_DEPTH ({limits.CAUSE_DEPTH}): a loop",
        )
    if target.kind == "pipeline":
        from actors.core.dag import NotBegun, trigger  # they read specs, and those know schedules

        begun = trigger(
            view,
            target.name,
            run_id=new_id,
            inputs=given_input,
            now_ms=now_ms,
            cause=cause,
            principal=principal,
            trace=trace,
        )
        return Refused(begun.reason, begun.detail) if isinstance(begun, NotBegun) else begun
    key = keys.template(target.name)
    template = view.get(key)
    if template is None:
        return Refused("no_template", f"there is no {key}")
    spec = _with_input(template.noun, given_input)
    if isinstance(spec, Refused):
        return spec
    uses = _own_key(spec)
    for use in uses:
        held = view.get(keys.idempotency(use.owner, use.key_hash))
        if held is not None and held.noun.expires_ms > now_ms:
            return Refused("duplicate", f"its idempotency key is that of {held.noun.made}")
    txn = accept(
        view,
        spec,
        new_id,
        now_ms=now_ms,
        principal=principal,
        body_hash="",
        idempotency=uses,
        trace=trace,
        cause=cause,
    )
    return msgspec.structs.replace(txn, checks=(*txn.checks, at(key, template.revision)))


def is_open(view: View, target: Target, started: str) -> bool:
    """Say whether the job or run that a target started has not ended."""
    if target.kind == "pipeline":
        run = view.get(keys.run(started))
        return run is not None and run.noun.state not in RUN_TERMINAL
    entry = view.get(keys.job(started))
    return entry is not None and entry.noun.state not in TERMINAL


def end(view: View, target: Target, started: str, now_ms: int) -> Txn | None:
    """Return what asks for the end of a job or run that a target started, None when it has."""
    reason = "the next one starts"
    if target.kind == "pipeline":
        from actors.core.dag import stop  # as above

        return stop(view, started, reason, now_ms)
    return cancel(view, started, reason, now_ms)


def _with_input(template: JobSpec, given: Any) -> JobSpec | Refused:
    """Fill a template's keys by the input that the job will have."""
    from actors.core.spec.json_schema import value_problems  # specs know schedules, these start
    from actors.core.spec.problems import Problems, TooManyProblemsError
    from actors.core.spec.template import fill

    value = template.input if given is None else given
    if given is not None and template.input_schema is not None:
        found = value_problems(template.input_schema, given)
        if found:
            return Refused("input", found[0][1])
    problems = Problems()
    try:
        filled = tuple(
            Concurrency(
                fill(entry.key, value, ("concurrency", i, "key"), problems),
                entry.max,
                entry.on_limit,
            )
            for i, entry in enumerate(template.concurrency)
        )
        own = template.idempotency_key
        if own is not None:
            own = fill(own, value, ("idempotency", "key"), problems)
        problems.raise_if_any(lambda path: _NOWHERE)
    except TooManyProblemsError:
        return Refused("input", "its keys can't be filled")
    except InvalidSpec as error:
        return Refused("input", f"{error.problems[0].path}: {error.message}")
    spec = msgspec.structs.replace(
        template,
        input=value,
        has_input=template.has_input or given is not None,
        concurrency=filled,
        idempotency_key=own,
    )
    size = len(encode(spec)) if given is not None else 0
    if size > limits.SPEC_BYTES:
        return Refused("input", f"it takes {size} bytes; SPEC_BYTES is {limits.SPEC_BYTES}")
    return spec


def _own_key(spec: JobSpec) -> list[KeyUse]:
    if spec.idempotency_key is None:
        return []
    return [KeyUse("spec", hash_key(spec.idempotency_key), spec.idempotency_ttl_ms)]
