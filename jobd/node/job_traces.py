"""The traces of jobs: spans made of what has ended, and a line of the log for each event."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, Final

from actors.core.job import attempt_span, job_span
from actors.core.store.state import State
from actors.model import keys
from actors.model.event import Event
from actors.model.job import TERMINAL, Job, Progress, Summary
from actors.model.trace import SpanContext
from actors.runtime.trace import CURRENT
from jobd.span import Span

__all__ = ["JobTraces"]

_log: Final = logging.getLogger("jobd.events")
_NS: Final = 1_000_000  # of a millisecond
_ENDS: Final = ("retrying", "completed", "failed", "cancelled", "expired")


class JobTraces:
    """Looks at every event once it is committed; `record` takes the spans that it ends."""

    def __init__(self, state: State, record: Callable[[Span], None]) -> None:
        self._state = state
        self._record = record

    def observe(self, event: Event) -> None:
        """Log an event, and tell the spans that end with it."""
        if _log.isEnabledFor(logging.DEBUG):
            before = CURRENT.set(event.trace or None)
            _log.debug("%s %s %s", event.type, event.subject, event.data)
            CURRENT.reset(before)
        _, _, word = event.type.rpartition(":")
        if word in _ENDS and event.type.startswith(("jobd:job:", "jobd:task:")):
            for span in self._spans(event):
                if span.context.is_sampled:
                    self._record(span)

    def _spans(self, event: Event) -> Iterator[Span]:
        entry = self._state.get(event.subject)
        if entry is None:
            return  # evicted since
        job: Job = entry.noun
        job_id, index = keys.last(event.subject), int(event.data.get("task", 0))
        context = job_span(job_id, job.trace)
        is_task = event.type.startswith("jobd:task:")
        task = self._state.get(keys.task(job_id, index)) if is_task else entry
        if task is not None:
            yield from _attempts(event, context, job_id, index, task.noun)
        if not is_task and job.state in TERMINAL:
            yield _job(job_id, job, context)


def _attempts(
    event: Event, job: SpanContext, job_id: str, index: int, record: Progress
) -> Iterator[Span]:
    """The attempt that ended with this event: a record's summaries may be of later ones too."""
    for summary in record.last:
        if summary.ended_ms == event.time_ms and summary.n == event.data.get("attempt"):
            yield _attempt(job, keys.attempt(job_id, index, summary.n), index, summary)


def _attempt(job: SpanContext, key: str, index: int, summary: Summary) -> Span:
    attributes: dict[str, Any] = {
        "jobd.task": index,
        "jobd.attempt": summary.n,
        "jobd.node": summary.node,
        "jobd.outcome": summary.outcome,
        "jobd.reason": summary.reason,
        "process.exit.code": summary.exit_code,
    }
    return Span(
        f"attempt {summary.n}",
        attempt_span(job, key),
        job.span_id,
        summary.started_ms * _NS,
        summary.ended_ms * _NS,
        {name: value for name, value in attributes.items() if value is not None},
        error="" if summary.outcome == "succeeded" else summary.reason,
    )


def _job(job_id: str, job: Job, context: SpanContext) -> Span:
    parent = SpanContext.parse(job.trace)
    return Span(
        f"job {job.name}",
        context,
        parent.span_id if parent is not None else "",
        job.submitted_ms * _NS,
        job.since_ms * _NS,
        {
            "jobd.job.id": job_id,
            "jobd.job.type": job.type,
            "jobd.state": job.state,
            "jobd.reason": job.reason,
            "jobd.attempts": job.n,
        },
        error="" if job.state == "succeeded" else job.reason,
    )
