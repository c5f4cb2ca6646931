"""Schedules as a door changes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from actors.core import schedule
from actors.core.start import Refused
from actors.core.store.state import State
from actors.core.store.txn import Check, Op, Txn, absent, at
from actors.errors import Conflict, PreconditionFailed
from actors.model import keys
from actors.model.codec import encode
from actors.model.spec import JobSpec, Trigger
from actors.model.target import Target
from actors.runtime import Clock
from jobd.api.gateway import RequestKey, Written
from jobd.node.repeats import Repeats
from jobd.node.writer import Writer, check_match

__all__ = ["Schedules"]


class Schedules:
    """Implements jobd.api.schedule_gateway.ScheduleGateway."""

    def __init__(
        self,
        state: State,
        writer: Writer,
        repeats: Repeats,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        check: Callable[[JobSpec], None],
    ) -> None:
        """`check` raises InvalidSpec for a spec that nothing here could run."""
        self._state = state
        self._writer = writer
        self._repeats = repeats
        self._clock = clock
        self._new_id = new_id
        self._check = check

    async def define(self, spec: JobSpec, *, principal: str, request: RequestKey) -> Written:
        """Make or change the schedule of a spec's name, once."""
        written, _ = await self._repeats.write(
            lambda: self._definition(spec, principal), request, made=keys.schedule(spec.name)
        )
        return written

    async def put(
        self, spec: JobSpec, *, principal: str, if_match: int | None, if_none_match: bool
    ) -> int:
        """Make or change the schedule of a spec's name."""

        def decide() -> Txn | int:
            revision = self._revision(spec.name)
            check_match(revision, if_match)
            if if_none_match and revision:
                raise PreconditionFailed(
                    f"there is a schedule {spec.name}",
                    revision=revision,
                    remedy="put it with If-Match",
                )
            txn = self._definition(spec, principal)
            return txn if txn.ops else revision

        revision: int = await self._writer.write(decide)
        return revision

    def _definition(self, spec: JobSpec, principal: str) -> Txn:
        """The schedule and the template of its jobs, in one transaction; no ops when it is so."""
        self._check(spec)
        recurrence, now_ms = spec.trigger.recurrence, self._clock.now_ms()
        assert recurrence is not None, "the spec has a recurring trigger"
        checks, ops, events = schedule.define_schedule(
            self._state,
            spec.name,
            recurrence,
            Target("job", spec.name),
            now_ms=now_ms,
            principal=principal,
        )
        if self._state.get(keys.trigger(spec.name)) is not None:
            raise Conflict(
                f"{spec.name} is a trigger",
                remedy="delete it first, or take another name for the job",
            )
        check, put = self._template(msgspec.structs.replace(spec, trigger=Trigger()))
        free = absent(keys.trigger(spec.name))
        return Txn((*checks, check, free), (*ops, *put), events, now_ms=now_ms)

    def _template(self, spec: JobSpec) -> tuple[Check, tuple[Op, ...]]:
        key = keys.template(spec.name)
        entry = self._state.get(key)
        if entry is None:
            return absent(key), ((key, encode(spec)),)
        return at(key, entry.revision), () if entry.noun == spec else ((key, encode(spec)),)

    async def delete(self, name: str, *, if_match: int | None) -> int:
        """Delete a schedule and the spec of its jobs."""

        def decide() -> Txn:
            check_match(self._revision(name), if_match)
            checks, ops, events = schedule.delete_schedule(self._state, name)
            entry = self._state.get(keys.schedule(name))
            if entry is not None and entry.noun.target.kind != "job":
                raise Conflict(
                    f"the schedule {name} is that of the pipeline {name}",
                    remedy="put the pipeline without a schedule",
                )
            template = keys.template(name)
            return Txn(checks, (*ops, (template, None)), events, now_ms=self._clock.now_ms())

        revision: int = await self._writer.write(decide, frees=True)
        return revision

    async def pause(self, name: str, *, if_match: int | None) -> int:
        """Pause a schedule."""
        return await self._change(schedule.pause, name, if_match)

    async def resume(self, name: str, *, if_match: int | None) -> int:
        """Resume a schedule."""
        return await self._change(schedule.resume, name, if_match)

    async def _change(
        self, change: Callable[[State, str, int], Txn | None], name: str, if_match: int | None
    ) -> int:
        def decide() -> Txn | int:
            revision = self._revision(name)
            check_match(revision, if_match)
            txn = change(self._state, name, self._clock.now_ms())
            return txn if txn is not None else revision

        revision: int = await self._writer.write(decide, frees=True)
        return revision

    async def fire(self, name: str, given: Any, *, request: RequestKey) -> tuple[Written, str]:
        """Start what a schedule starts, once; return its id."""
        new_id = self._new_id()

        def decide() -> Txn:
            txn = schedule.fire_now(
                self._state,
                name,
                new_id=new_id,
                now_ms=self._clock.now_ms(),
                principal=request.owner,
                given_input=given,
            )
            if isinstance(txn, Refused):
                raise Conflict(f"nothing can start: {txn.detail}", remedy="put the schedule anew")
            return txn

        return await self._repeats.write(decide, request, made=new_id)

    async def backfill(
        self, name: str, from_ms: int, to_ms: int, *, at_once: bool, request: RequestKey
    ) -> tuple[Written, str]:
        """Have a schedule fire for a range, once; return the backfill's id."""
        new_id = self._new_id()

        def decide() -> Txn:
            return schedule.backfill(
                self._state,
                name,
                new_id=new_id,
                from_ms=from_ms,
                to_ms=to_ms,
                at_once=at_once,
                now_ms=self._clock.now_ms(),
            )

        return await self._repeats.write(decide, request, made=new_id)

    def _revision(self, name: str) -> int:
        entry = self._state.get(keys.schedule(name))
        return entry.revision if entry is not None else 0
