"""The filters of a list of jobs, and how far back a list has to look for them.

Ids sort by the time they were minted at, so a list that is bounded in time looks at no older ids.
A client may mint an id that is up to MINTED_AHEAD_MS off the time of its job.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Final

from actors.core.history_port import ListJobs
from actors.model.ids import make_id
from actors.model.job import Job, JobState
from actors.model.spec import JobType
from jobd.api.query import ListQuery, Since, moment_or_ago

__all__ = ["JobList", "job_filter", "past_filter"]

MINTED_AHEAD_MS: Final = 600_000
_ABOVE_IDS: Final = "~"  # sorts behind every character of an id
_Wanted = Callable[[str, Job], bool]


class JobList(ListQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Values of one filter are alternatives, and different filters must all hold.

    `label` is `name` or `name=value` (or `name:value`): different names are different filters.
    `since` and `until` bound when a job was submitted: a moment (RFC 3339) or how long ago (`10m`).
    """

    state: list[JobState] = []
    type: list[JobType] = []
    label: list[str] = []
    name: list[str] = []
    id_prefix: str | None = None
    q: str | None = None  # part of a name, or the beginning of an id
    since: Since | None = None
    until: Since | None = None


def job_filter(query: JobList, now_ms: int) -> tuple[_Wanted, str, str]:
    """Return the filter, the oldest id that may pass it, and an id above all that may ("": none).

    Raises InvalidInput.
    """
    since_ms, until_ms = _times(query, now_ms)
    labels = _labels(query.label)
    states, types, names = set(query.state), set(query.type), set(query.name)
    part, prefix = query.q, query.id_prefix or ""

    def wanted(job_id: str, job: Job) -> bool:
        return (
            (not states or job.state in states)
            and (not types or job.type in types)
            and (not names or job.name in names)
            and job.submitted_ms >= since_ms
            and (not until_ms or job.submitted_ms < until_ms)
            and job_id.startswith(prefix)
            and (part is None or part in job.name or job_id.startswith(part))
            and all(
                name in job.labels and (None in values or job.labels[name] in values)
                for name, values in labels.items()
            )
        )

    return wanted, *_bounds(prefix, since_ms, until_ms)


def past_filter(query: JobList, now_ms: int, before: str, limit: int) -> ListJobs:
    """Return the same filters as a question to the history. Raises InvalidInput."""
    since_ms, until_ms = _times(query, now_ms)
    prefix = query.id_prefix or ""
    oldest, start = _bounds(prefix, since_ms, until_ms)
    return ListJobs(
        before=before or start,
        oldest=oldest,
        limit=limit,
        states=tuple(query.state),
        types=tuple(query.type),
        names=tuple(query.name),
        labels={name: tuple(values) for name, values in _labels(query.label).items()},
        since_ms=since_ms,
        until_ms=until_ms,
        prefix=prefix,
        part=query.q,
    )


def _times(query: JobList, now_ms: int) -> tuple[int, int]:
    """Return since when and until when jobs were submitted; 0: no such bound."""
    until_ms = moment_or_ago("until", query.until, now_ms) if query.until else 0
    return moment_or_ago("since", query.since, now_ms), until_ms


def _bounds(prefix: str, since_ms: int, until_ms: int) -> tuple[str, str]:
    """Return the oldest id that may pass, and one above all that may ("": none)."""
    oldest = max(prefix, _id_at(since_ms - MINTED_AHEAD_MS) if since_ms else "")
    newest = _id_at(until_ms + MINTED_AHEAD_MS) if until_ms else ""
    above = prefix + _ABOVE_IDS if prefix else ""
    return oldest, min(filter(None, (newest, above)), default="")


def _id_at(time_ms: int) -> str:
    return make_id(min(max(time_ms, 0), 2**48 - 1), 0)


def _labels(texts: list[str]) -> dict[str, set[str | None]]:
    labels: dict[str, set[str | None]] = defaultdict(set)
    for text in texts:
        end = min((i for i in map(text.find, "=:") if i >= 0), default=len(text))
        labels[text[:end]].add(text[end + 1 :] if end < len(text) else None)
    return labels
