"""One transaction of a schedule while it is put together: record, events, what it starts."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from actors import limits
from actors.core.job import job_span
from actors.core.schedule.moment import fire_id, fire_name, rfc3339
from actors.core.schedule.times import next_ms
from actors.core.start import Refused, end, is_open, start
from actors.core.store.txn import Check, Op, Txn, at
from actors.core.view import Entry, View
from actors.model import keys
from actors.model.cause import Cause, CauseKind
from actors.model.codec import encode
from actors.model.event import EventDraft
from actors.model.schedule import Fire, Schedule

__all__ = ["Turn"]

_TRACKED: Final = 64  # of what was started by hand beside the schedule's own


class Turn:
    """Everything in it is at(schedule): of two that decide the same, one conflicts."""

    def __init__(self, view: View, name: str, entry: Entry, now_ms: int) -> None:
        self._view = view
        self._now_ms = now_ms
        self._name = name
        self._checks: list[Check] = [at(keys.schedule(name), entry.revision)]
        self._ops: list[Op] = []
        self._events: list[EventDraft] = []
        self._missing = False  # the last event tells of missed fires, of which more may follow
        self.schedule: Schedule = entry.noun
        self.running = tuple(
            each for each in self.schedule.running if is_open(view, self.schedule.target, each)
        )

    def change(self, **changes: Any) -> None:
        """Change fields of the record."""
        self.schedule = msgspec.structs.replace(self.schedule, **changes)

    def start(
        self,
        nominal_ms: int,
        *,
        due_ms: int,
        reason: str,
        kind: CauseKind = "schedule",
        of: str = "",
        new_id: str = "",
        given_input: Any = None,
        principal: str = "",
    ) -> str | Refused:
        """Start the target for a nominal time; return the id of what starts.

        `of` is the backfill that asks for it; `new_id` another id than the fire's own.
        """
        schedule, name = self.schedule, self._name
        of = of or f"{name}\0{schedule.created_ms}"
        new_id = new_id or fire_id(self._view, of, nominal_ms, self._now_ms)
        txn = start(
            self._view,
            schedule.target,
            new_id=new_id,
            cause=Cause(kind, fire_name(name, nominal_ms)),
            given_input=given_input,
            now_ms=self._now_ms,
            principal=principal or schedule.principal,
        )
        if isinstance(txn, Refused):
            return txn
        self._merge(txn)
        late_ms = self._now_ms - due_ms
        self._note(
            Fire(nominal_ms, self._now_ms, "fired", reason, started=new_id),
            started=f"{'run' if schedule.target.kind == 'pipeline' else 'job'}/{new_id}",
            late_ms=late_ms,
            trace=job_span(new_id, "").traceparent,
        )
        return new_id

    def track(self, started: str) -> None:
        """Have what was started counted as running, for the overlap policy."""
        self.running = (*self.running, started)[-_TRACKED:]

    def cancel_running(self) -> None:
        """Ask for the end of what still runs (cancel_previous)."""
        for each in self.running:
            txn = end(self._view, self.schedule.target, each, self._now_ms)
            if txn is not None:
                self._merge(txn)
        self.running = ()

    def miss(
        self, nominal_ms: int, reason: str, *, until_ms: int = 0, count: int = 1, detail: str = ""
    ) -> None:
        """Record a fire that doesn't happen, or several in a row; `count` 0: nobody counted."""
        if self._missing and self.schedule.recent[-1].reason == reason and until_ms == 0:
            self._extend(nominal_ms)
            return
        fire = Fire(nominal_ms, self._now_ms, "missed", reason, count, until_ms, "", detail)
        self.change(missed=self.schedule.missed + count)
        self._note(fire, count=count, until=rfc3339(until_ms or nominal_ms), detail=detail)
        self._missing = True

    def skip(self, nominal_ms: int, reason: str) -> None:
        """Record a fire that the overlap policy leaves out."""
        by = self.running[-1] if self.running else ""
        self.change(skipped=self.schedule.skipped + 1)
        fire = Fire(nominal_ms, self._now_ms, "skipped_overlap", reason, detail=by)
        self._note(fire, running=by)

    def _extend(self, nominal_ms: int) -> None:
        """Several in a row of one turn are one record and one event."""
        last = self.schedule.recent[-1]
        fire = msgspec.structs.replace(last, count=last.count + 1, until_ms=nominal_ms)
        self.change(missed=self.schedule.missed + 1, recent=(*self.schedule.recent[:-1], fire))
        event = self._events.pop()
        more = event.data | {"count": fire.count, "until": rfc3339(nominal_ms)}
        self._events.append(msgspec.structs.replace(event, data=more))

    def _note(self, fire: Fire, *, trace: str = "", **data: Any) -> None:
        self.change(recent=(*self.schedule.recent, fire)[-limits.SCHEDULE_RECENT :])
        self._missing = False
        about = {"schedule": self._name, "nominal": rfc3339(fire.nominal_ms), "reason": fire.reason}
        self._events.append(
            EventDraft(
                f"jobd:schedule:{fire.outcome}", keys.schedule(self._name), about | data, trace
            )
        )

    def _merge(self, txn: Txn) -> None:
        self._checks += [check for check in txn.checks if check not in self._checks]
        self._ops += txn.ops
        self._events += txn.events

    def move_cursor(self, cursor_ms: int, known_ms: int | None = None) -> None:
        """Everything up to here is decided; find what comes next, unless that is known."""
        schedule = self.schedule
        if 0 < schedule.recurrence.max_fires <= schedule.fires + len(schedule.queued):
            ahead_ms = 0
        else:
            ahead_ms = known_ms or next_ms(schedule.recurrence, self._name, cursor_ms) or 0
        self.change(cursor_ms=cursor_ms, next_ms=ahead_ms)

    def txn(self) -> Txn:
        """Return the transaction."""
        self.change(running=self.running)
        record = (keys.schedule(self._name), encode(self.schedule))
        return Txn(
            tuple(self._checks), (*self._ops, record), tuple(self._events), now_ms=self._now_ms
        )
