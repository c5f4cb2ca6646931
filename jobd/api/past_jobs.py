"""Jobs and events that only the history has: found, and listed behind those of the store.

A list goes through the store, then on through the history; its cursor says in which of them the
last page ended. A job that has moved from the one to the other meanwhile may be left out by the
page that would have had it: it comes with the next list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from actors.core.history_port import ListJobs
from actors.core.past_job import PastJob
from actors.core.ports import EventPage
from actors.core.view import View
from actors.errors import Conflict, NotFound, Unavailable
from actors.model import keys
from actors.model.ids import is_id
from jobd.api.gateway import Gateway
from jobd.api.job_views import JobView, job_view

__all__ = ["IN_PAST", "add_past_jobs", "check_present", "events_of", "view_of"]

IN_PAST: Final = "past:"  # before the place of a list that goes on in the history


async def view_of(gateway: Gateway, job_id: str) -> View:
    """Return the view that has a job: what is applied, else the history. Raises NotFound."""
    if is_id(job_id):
        if gateway.view.get(keys.job(job_id)) is not None:
            return gateway.view
        past = await gateway.past.find(job_id)
        if past is not None:
            return past
    raise NotFound(f"no job {job_id!r}", remedy="`jobctl job list` shows what there is.")


async def check_present(gateway: Gateway, job_id: str) -> None:
    """Refuse a change of a job that only the history has. Raises NotFound, Conflict."""
    if await view_of(gateway, job_id) is not gateway.view:
        raise Conflict(f"job {job_id} is history", remedy="Submit its spec as a new job.")


async def add_past_jobs(
    gateway: Gateway,
    items: list[JobView],
    limit: int,
    place: str,
    ask: Callable[[str, int], ListJobs],
) -> str | None:
    """Fill a page of jobs up from the history; return where the list goes on, None at its end.

    `ask(before, limit)` makes the question. Without the history a page with jobs of the store ends
    there, and says that there may be more; one without raises Unavailable.
    """
    before = place.removeprefix(IN_PAST) if place.startswith(IN_PAST) else ""
    while len(items) < limit:
        try:
            page = await gateway.past.list(ask(before, limit - len(items)))
        except Unavailable:
            if not items:
                raise
            return IN_PAST + before
        for ended in page.jobs:
            before = ended.id
            if gateway.view.get(keys.job(ended.id)) is None:  # else it came with the store's
                past = PastJob(ended)
                entry = past.get(keys.job(ended.id))
                assert entry is not None, "a past job has itself"
                items.append(job_view(past, ended.id, entry))
        if not page.more:
            return None
    return IN_PAST + before


async def events_of(
    gateway: Gateway,
    after: tuple[int, int],
    limit: int,
    types: tuple[str, ...] = (),
    subject: str | None = None,
) -> EventPage:
    """Return events above a place: of the event log, and of the history before what that has."""
    page = await gateway.read_events(after, limit, types, subject)
    if not page.gap:
        return page
    try:
        past = await gateway.past.events(after, limit, types, subject)
    except Unavailable:
        return page
    if not past.events:
        return page
    gap = past.oldest > after[0] + 1
    if past.more or len(past.events) >= limit:
        return EventPage(past.events, gap)
    last = past.events[-1]
    rest = await gateway.read_events(
        (last.revision, last.k), limit - len(past.events), types, subject
    )
    return EventPage((*past.events, *rest.events), gap or rest.gap)
