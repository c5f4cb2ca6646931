"""The chain behind a job: what started it, what made that happen, back to where it began."""

from __future__ import annotations

import msgspec

from actors import limits
from actors.core.view import View
from actors.errors import JobdError
from actors.model import keys
from actors.model.cause import Cause
from actors.model.event import Event, cause_of, parse_event_id
from jobd.api.gateway import Gateway
from jobd.api.past_jobs import events_of, view_of

__all__ = ["CauseLink", "chain_of"]

_EVENTS = ("event", "hook")
_JOBS = ("job", "retry")


class CauseLink(msgspec.Struct, frozen=True, omit_defaults=True):
    """One link. Of an event also its type and subject; `lost`: what was behind is not kept."""

    kind: str
    id: str
    type: str = ""
    subject: str = ""
    lost: bool = False


async def chain_of(gateway: Gateway, job_id: str) -> list[CauseLink]:
    """Return the causes of a job, the nearest first; of a request there is none."""
    view = await view_of(gateway, job_id)
    cause, chain = _cause_in(view, job_id), list[CauseLink]()
    while cause is not None and len(chain) <= limits.CAUSE_DEPTH + 1:
        if cause.kind in _EVENTS:
            event = await _event(gateway, cause.id)
            if event is None:
                return [*chain, CauseLink(cause.kind, cause.id, lost=True)]
            chain.append(CauseLink(cause.kind, cause.id, event.type, event.subject))
            cause = cause_of(event)
        elif cause.kind in _JOBS:
            chain.append(CauseLink(cause.kind, cause.id, subject=keys.job(cause.id)))
            cause = await _cause_of_job(gateway, cause.id)
        else:
            chain.append(CauseLink(cause.kind, cause.id))
            break
    return chain


async def _cause_of_job(gateway: Gateway, job_id: str) -> Cause | None:
    try:
        return _cause_in(await view_of(gateway, job_id), job_id)
    except JobdError:
        return None


def _cause_in(view: View, job_id: str) -> Cause | None:
    entry = view.get(keys.job(job_id))
    cause: Cause | None = entry.noun.cause if entry is not None else None
    return cause


async def _event(gateway: Gateway, id_: str) -> Event | None:
    """Return an event by its id, from the event log or the history; None when it is gone."""
    try:
        revision, k = parse_event_id(id_)
        page = await events_of(gateway, (revision, k - 1), 1)
    except (JobdError, ValueError):
        return None
    event = page.events[0] if page.events else None
    return event if event is not None and event.place == (revision, k) else None
