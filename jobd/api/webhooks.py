"""The handler of POST /webhooks/{path}: what comes from outside, proven by its own scheme."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from actors.errors import NotFound
from actors.model import keys
from actors.model.job import Output
from actors.model.run import RUN_TERMINAL
from jobd.api.call import Call, Reply
from jobd.api.gateway import Gateway
from jobd.api.hook_gateway import Taken
from jobd.api.past_jobs import view_of
from jobd.api.query import NoQuery
from jobd.api.route import ANY_TYPE, Route
from jobd.api.triggers import name_of

__all__ = ["ROUTES", "WebhookReply"]


class WebhookReply(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What came of a webhook. With `wait`, also how what it started has ended, if it has."""

    result: Literal["started", "emitted", "ignored"]
    trigger: str
    job_id: str | None = None
    run_id: str | None = None
    event_id: str | None = None
    state: str | None = None
    reason: str | None = None
    output: Any = None


async def receive_webhook(call: Call[NoQuery, bytes]) -> Reply:
    """Take a webhook. It needs no token: the scheme of its trigger proves it, over the raw body.

    202 says that it was started or emitted, 200 that an earlier request had done so, or that it has
    ended. What a filter leaves out is ignored, with 200. A refusal gives no reason.
    """
    done = await call.gateway.hooks.receive(name_of(call.path("path")), call.headers, call.body)
    if done.answer:
        return Reply(done.answer.encode(), status=200, revision=done.revision)
    if not done.kind:
        ignored = WebhookReply(result="ignored", trigger=done.name)
        return Reply(ignored, status=200, revision=done.revision)
    headers = {"Idempotent-Replayed": "true"} if done.replayed else {}
    status = 200 if done.replayed else None
    fields: dict[str, Any] = {"trigger": done.name, _ID[done.kind]: done.made}
    if done.kind == "event":
        emitted = WebhookReply(result="emitted", **fields)
        return Reply(emitted, status=status, revision=done.revision, headers=headers)
    if done.wait_ms:
        ended = await (_ended if done.kind == "job" else _run_ended)(call.gateway, done)
        status = 200 if ended else status
        fields |= ended
    started = WebhookReply(result="started", **fields)
    return Reply(started, status=status, revision=done.revision, headers=headers)


_ID: Final = {"job": "job_id", "pipeline": "run_id", "event": "event_id"}


async def _ended(gateway: Gateway, done: Taken) -> dict[str, Any]:
    """Wait for the end of a job; {} while it has not come."""
    await gateway.wait_job(done.made, "terminal", done.wait_ms / 1000)
    try:
        view = await view_of(gateway, done.made)
    except NotFound:
        return {}
    entry = view.get(keys.job(done.made))
    if entry is None or entry.noun.state not in _TERMINAL:
        return {}
    output = view.get(keys.output(done.made, 0))
    found: Output | None = output.noun if output is not None else None
    value = msgspec.Raw(found.json) if found is not None and found.json is not None else None
    return {"state": entry.noun.state, "reason": entry.noun.reason, "output": value}


async def _run_ended(gateway: Gateway, done: Taken) -> dict[str, Any]:
    """Wait for the end of a run; {} while it has not come."""
    await gateway.pipelines.wait(done.made, done.wait_ms / 1000)
    entry = gateway.view.get(keys.run(done.made))
    if entry is None or entry.noun.state not in RUN_TERMINAL:
        return {}
    return {"state": entry.noun.state, "reason": entry.noun.reason}


_TERMINAL: Final = ("succeeded", "failed", "cancelled", "expired")

ROUTES: Final = (
    Route(
        "POST",
        "/webhooks/{path}",
        "public",
        receive_webhook,
        "Take a webhook",
        body=bytes,
        accepts=(ANY_TYPE,),
        returns=WebhookReply,
        status=202,
        errors=("conflict", "unauthenticated"),
        others=(200,),
    ),
)
