"""A store with one schedule, for tests of its decisions."""

from __future__ import annotations

from typing import Any

from actors.core import schedule
from actors.core.schedule.moment import rfc3339
from actors.core.spec.quantity import moment_ms
from actors.core.store.txn import Txn
from actors.model import keys
from actors.model.codec import encode
from actors.model.recurrence import Catchup, Recurrence
from actors.model.schedule import Fire, Schedule
from actors.model.spec import JobSpec
from actors.model.target import Target
from tests.unit.jobs.given import Given

__all__ = ["KEY", "NAME", "Scheduled", "at"]

NAME = "nightly"
KEY = keys.schedule(NAME)
_SPEC = JobSpec(name=NAME, type="command", argv=("true",))


def at(text: str) -> int:
    """Return the Unix milliseconds of an RFC 3339 moment."""
    time_ms = moment_ms(text)
    assert time_ms is not None
    return time_ms


class Scheduled(Given):
    """Hourly unless said otherwise, from noon of the first of June 2026 on."""

    def __init__(self, spec: JobSpec = _SPEC, **recurrence: Any) -> None:
        super().__init__()
        self.now = at("2026-06-01T12:00:00Z")
        wanted = {"cron": ("0 * * * *",)} | recurrence
        if "catchup" in wanted:
            wanted["catchup"] = Catchup(*wanted["catchup"])
        self.recurrence = Recurrence(**wanted)
        self.commit(Txn((), ((keys.template(NAME), encode(spec)),)))
        self.define()
        self.told: list[dict[str, Any]] = []

    def define(self, **changes: Any) -> None:
        """Put the schedule, changed."""
        for name, value in changes.items():
            self.recurrence = type(self.recurrence)(
                **{f: getattr(self.recurrence, f) for f in self.recurrence.__struct_fields__}
                | {name: value}
            )
        parts = schedule.define_schedule(
            self.state, NAME, self.recurrence, Target("job", NAME), now_ms=self.now, principal="t"
        )
        self.commit(Txn(*parts))

    @property
    def schedule(self) -> Schedule:
        entry = self.state.get(KEY)
        assert entry is not None
        noun: Schedule = entry.noun
        return noun

    def sleep_until(self, text: str) -> list[str]:
        """Decide nothing until then, and all that is due then; return what was told."""
        self.now = at(text)
        return self.settle()

    def settle(self) -> list[str]:
        """Decide until nothing is due; return what was told: `fired 13:00`, and the reason."""
        said: list[str] = []
        for _ in range(400):
            due_ms = schedule.due_at(self.state, KEY)
            txn = schedule.due(self.state, KEY, now_ms=self.now)
            assert (txn is not None) == (due_ms is not None and due_ms <= self.now), "F6"
            if txn is None:
                return said
            self.state.apply(txn)
            for event in self.state.take_events():
                if event.type.startswith("jobd:schedule:"):
                    self.told.append(event.data)
                    said.append(_said(event.type, event.data))
        raise AssertionError("it never settles")

    @property
    def jobs(self) -> list[str]:
        """The ids of its jobs, oldest first."""
        return [keys.last(key) for key, _ in self.state.scan("job/")]

    @property
    def last(self) -> Fire:
        return self.schedule.recent[-1]

    def end(self, job_id: str) -> None:
        """Run a job to its end."""
        self.finish(self.claim(job_id))


def _said(type_: str, data: dict[str, Any]) -> str:
    word = type_.rpartition(":")[2]
    parts = [word, data["nominal"][11:16], data["reason"]]
    if data.get("count", 1) != 1:
        parts.append(f"x{data['count']}")
    return " ".join(part for part in parts if part)


def shown(time_ms: int) -> str:
    """Return a moment as text."""
    return rfc3339(time_ms)
