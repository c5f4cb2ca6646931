"""Pipelines and runs at a door: defined, begun, stopped, answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from actors import limits
from actors.core import dag, schedule
from actors.core.pipeline_spec import ReadPipeline
from actors.core.store.txn import Txn, absent, at
from actors.core.trigger.definition import (
    Change,
    define_trigger,
    remove_trigger,
)
from actors.core.view import Entry
from actors.errors import Busy, Conflict, InvalidInput, JobdError, NotFound, PreconditionFailed
from actors.model import keys
from actors.model.cause import Cause
from actors.model.codec import encode
from actors.model.pipeline import Pipeline
from actors.model.run import RUN_TERMINAL
from actors.model.target import Target
from actors.model.trigger import TriggerRecord
from actors.runtime.trace import CURRENT
from jobd.api.gateway import RequestKey, Written
from jobd.node.repeats import Repeats
from jobd.node.writer import check_match

__all__ = ["NodePipelines"]

_OWN: Final = "of the pipeline"  # in the spec of a trigger that is put and deleted with it
Wakeups = Callable[[str], AbstractAsyncContextManager[asyncio.Event]]


class NodePipelines:
    """Implements jobd.api.pipeline_gateway.PipelineGateway."""

    def __init__(self, repeats: Repeats, wakeups: Wakeups) -> None:
        self._repeats = repeats
        self._state = repeats.state
        self._writer = repeats.writer
        self._clock = repeats.clock
        self._new_id = repeats.new_id
        self._wakeups = wakeups

    def newest_runs(self, before: str = "") -> Iterator[tuple[str, Entry]]:
        """Yield runs, the newest first."""
        start = keys.run(before) if before else ""
        for key, entry in self._state.newest("run/", start):
            yield keys.last(key), entry

    # -- definitions

    async def put(
        self,
        read: ReadPipeline,
        *,
        principal: str,
        if_match: int | None = None,
        if_none_match: bool = False,
    ) -> int:
        """Put a pipeline; the same content changes nothing."""
        spec, key = read.spec, keys.pipeline(read.spec.name)
        digest, ops = dag.define(spec)
        warnings = tuple([f"{warning.path}: {warning.message}" for warning in read.warnings])

        def decide() -> Txn | int:
            entry = self._state.get(key)
            revision = entry.revision if entry is not None else 0
            check_match(revision, if_match)
            if if_none_match and revision:
                raise PreconditionFailed(
                    f"there is a pipeline {spec.name}",
                    revision=revision,
                    remedy="put it with If-Match",
                )
            timed, started = self._schedule(read, principal), self._trigger(read, principal)
            changes = timed[1] or started.ops
            if entry is not None and entry.noun.definition == digest and not changes:
                return revision
            if entry is None and self._state.count("pipeline") >= limits.PIPELINES:
                raise Busy(f"there are {limits.PIPELINES} pipelines already", remedy="delete some")
            record = Pipeline(
                definition=digest,
                steps=len(spec.steps),
                updated_ms=self._clock.now_ms(),
                principal=principal,
                labels=spec.labels,
                warnings=warnings,
            )
            seen = at(key, revision) if revision else absent(key)
            checks, puts, events = timed
            put = (*ops, (key, encode(record)), *puts, *started.ops)
            checks = (seen, *checks, *started.checks)
            return Txn(checks, put, events, now_ms=self._clock.now_ms())

        revision: int = await self._writer.write(decide)
        return revision

    def _schedule(self, read: ReadPipeline, principal: str) -> schedule.Parts:
        """Return what makes the schedule of a pipeline what its spec says; no ops when it is so.

        Raises Conflict for the schedule of a job of that name.
        """
        name = read.spec.name
        target = Target("pipeline", name)
        if read.recurrence is not None:
            now_ms = self._clock.now_ms()
            return schedule.define_schedule(
                self._state, name, read.recurrence, target, now_ms=now_ms, principal=principal
            )
        return self._unschedule(target)

    def _unschedule(self, target: Target) -> schedule.Parts:
        entry = self._state.get(keys.schedule(target.name))
        if entry is None or entry.noun.target != target:
            return (), (), ()
        return schedule.delete_schedule(self._state, target.name)

    def _trigger(self, read: ReadPipeline, principal: str) -> Change:
        """Return what makes the trigger of a pipeline what its spec says; no ops when it is so.

        One that was put by itself is left alone, unless the spec has one too.
        """
        name, source, now_ms = read.spec.name, read.source, self._clock.now_ms()
        entry = self._state.get(keys.trigger(name))
        if source is None:
            return self._untrigger(name)
        record = TriggerRecord(
            principal=principal,
            created_ms=now_ms,
            updated_ms=now_ms,
            target=Target("pipeline", name),
            events=source.events,
            webhook=source.webhook,
            spec={_OWN: read.spec.trigger},
        )
        if (
            entry is not None
            and entry.noun.target == record.target
            and ((entry.noun.events, entry.noun.webhook) == (record.events, record.webhook))
        ):
            return Change((), ())
        return define_trigger(self._state, name, record)

    def _untrigger(self, name: str) -> Change:
        entry = self._state.get(keys.trigger(name))
        if entry is None or _OWN not in entry.noun.spec:
            return Change((), ())
        return remove_trigger(self._state, name)

    async def delete(self, name: str, *, if_match: int | None = None) -> int:
        """Delete a pipeline with its schedule; its runs go on."""
        key = keys.pipeline(name)

        def decide() -> Txn:
            entry = self._pipeline(name)
            check_match(entry.revision, if_match)
            checks, ops, events = self._unschedule(Target("pipeline", name))
            started = self._untrigger(name)
            return Txn(
                (at(key, entry.revision), *checks, *started.checks),
                ((key, None), *ops, *started.ops),
                events,
                now_ms=self._clock.now_ms(),
            )

        revision: int = await self._writer.write(decide, frees=True)
        return revision

    def _pipeline(self, name: str) -> Entry:
        entry = self._state.get(keys.pipeline(name))
        if entry is None:
            raise NotFound(
                f"there is no pipeline {name!r}", remedy="`jobctl pipeline list` shows them"
            )
        return entry

    def _run(self, run_id: str) -> Entry:
        entry = self._state.get(keys.run(run_id))
        if entry is None:
            raise NotFound(f"there is no run {run_id!r}", remedy="`jobctl runs list` shows them")
        return entry

    # -- runs

    async def trigger(
        self, name: str, inputs: dict[str, Any], *, principal: str, request: RequestKey
    ) -> tuple[Written, str]:
        """Begin a run once."""
        run_id, now_ms = self._new_id(), self._clock.now_ms()

        def decide() -> Txn:
            self._pipeline(name)
            self._check_room()
            return _begun(
                dag.trigger(
                    self._state,
                    name,
                    run_id=run_id,
                    inputs=inputs,
                    now_ms=now_ms,
                    cause=Cause("request", ""),
                    principal=principal,
                    trace=CURRENT.get() or "",
                )
            )

        return await self._repeats.write(decide, request, made=run_id)

    async def rerun(
        self, run_id: str, since: str, *, principal: str, request: RequestKey
    ) -> tuple[Written, str]:
        """Run an ended run again once."""
        new_id, now_ms = self._new_id(), self._clock.now_ms()

        def decide() -> Txn:
            self._run(run_id)
            self._check_room()
            return _begun(
                dag.rerun(
                    self._state,
                    run_id,
                    run_id=new_id,
                    since=since,
                    now_ms=now_ms,
                    principal=principal,
                    trace=CURRENT.get() or "",
                )
            )

        return await self._repeats.write(decide, request, made=new_id)

    def _check_room(self) -> None:
        """Refuse one more run where too many are there that have not ended."""
        if self._state.count("run") < limits.RUNS_OPEN:
            return
        open_ = sum(e.noun.state not in RUN_TERMINAL for _, e in self._state.scan("run/"))
        if open_ >= limits.RUNS_OPEN:
            raise Busy(
                f"{limits.RUNS_OPEN} runs have not ended (RUNS_OPEN)",
                remedy="wait until some have, or cancel them",
            )

    async def stop(self, run_id: str, reason: str, *, if_match: int | None = None) -> int:
        """Ask for a run's end; asked again, `finally` ends too."""

        def decide() -> Txn | int:
            entry = self._run(run_id)
            check_match(entry.revision, if_match)
            txn = dag.stop(self._state, run_id, reason, self._clock.now_ms(), again=True)
            return txn if txn is not None else entry.revision

        revision: int = await self._writer.write(decide, frees=True)
        return revision

    async def answer(
        self, run_id: str, step: str, *, approve: bool, comment: str, principal: str
    ) -> int:
        """Answer a gate."""

        def decide() -> Txn:
            self._run(run_id)
            entry = self._state.get(keys.step(run_id, step))
            txn = dag.answer_gate(
                self._state,
                run_id,
                step,
                approve=approve,
                by=principal,
                comment=comment,
                now_ms=self._clock.now_ms(),
            )
            if txn is None:
                state = entry.noun.state if entry is not None else "not there yet"
                raise Conflict(
                    f"step {step} of run {run_id} waits for no answer: it is {state}",
                    remedy="`jobctl runs get` shows which steps wait",
                )
            return txn

        revision: int = await self._writer.write(decide)
        return revision

    async def wait(self, run_id: str, timeout_s: float) -> None:
        """Return once a run has ended, or at the timeout."""
        async with self._wakeups(run_id) as wakeup:
            deadline = asyncio.get_running_loop().time() + timeout_s
            while self._is_open(run_id):
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0:
                    return
                try:
                    await asyncio.wait_for(wakeup.wait(), left)
                except TimeoutError:
                    return
                wakeup.clear()

    def _is_open(self, run_id: str) -> bool:
        entry = self._state.get(keys.run(run_id))
        return entry is not None and entry.noun.state not in RUN_TERMINAL


def _begun(made: Txn | dag.NotBegun) -> Txn:
    """Return the transaction of a run, or raise why there is none."""
    if isinstance(made, Txn):
        return made
    errors: dict[str, type[JobdError]] = {"inputs": InvalidInput, "rerun": Conflict}
    raise errors.get(made.reason, NotFound)(made.detail)
