"""A store, deciders with views that lag and crash, an executor, and people who stop runs.

Every transaction that commits is looked at (I1 to I6, I8, I9); at the end all must have ended (I7)
and, where nobody asked for a stop, as the oracle says (I3).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from actors import limits
from actors.core import dag
from actors.core.dag.standing import Standing
from actors.core.job.states import move
from actors.core.store.state import State
from actors.core.store.txn import Committed, Txn, at
from actors.model import keys
from actors.model.codec import decode, encode
from actors.model.ids import make_id
from actors.model.job import TERMINAL, Output
from actors.model.pipeline import Pipeline
from actors.model.run import RUN_TERMINAL, STEP_TERMINAL
from tests.sim.pipelines.plans import Plan, expected

__all__ = ["Violation", "World"]

_BEGAN = 1_800_000_000_000


class Violation(AssertionError):
    """An invariant does not hold."""


class Decider:
    """A node: its view is the store as of some commit, and it may keep a standing."""

    def __init__(self) -> None:
        self.state = State()
        self.applied = 0
        self.standings: dict[str, Standing] = {}

    def crash(self) -> None:
        self.standings.clear()


class World:
    """One schedule of one plan, from one seed."""

    def __init__(
        self, plan: Plan, rng: random.Random, cut: Callable[[Txn], Txn], *, runs: int, stops: bool
    ) -> None:
        self.plan = plan
        self.rng = rng
        self.cut = cut
        self.stops = stops
        self.now_ms = _BEGAN
        self.store = State()
        self.log: list[Txn] = []
        self.deciders = [Decider() for _ in range(rng.choice((1, 2, 3)))]
        self.flying: list[Txn] = []
        self.work_of: dict[str, str] = {}  # step key → its job or run
        self.ended: dict[str, Any] = {}
        self.counts: Counter[str] = Counter()
        self._minted = 0
        self._define()
        self.runs = [self._trigger() for _ in range(runs)]
        self.stopped: set[str] = set()

    # -- set up

    def _define(self) -> None:
        for spec in (self.plan.spec, self.plan.child):
            digest, ops = dag.define(spec)
            record = Pipeline(definition=digest, steps=len(spec.steps), updated_ms=_BEGAN)
            self.commit(Txn((), (*ops, (keys.pipeline(spec.name), encode(record)))))

    def _trigger(self) -> str:
        run_id = self.new_id()
        txn = dag.trigger(self.store, "drawn", run_id=run_id, inputs=None, now_ms=self.now_ms)
        assert isinstance(txn, Txn), txn
        self.commit(txn)
        return run_id

    def new_id(self) -> str:
        self._minted += 1
        return make_id(self.now_ms, self._minted << 40 | self.rng.getrandbits(20))

    # -- the store

    def commit(self, txn: Txn) -> bool:
        """Apply a transaction and look at what it did."""
        if isinstance(self.store.apply(txn), Committed):
            self.log.append(txn)
            self._look_at(txn)
            return True
        return False

    def _look_at(self, txn: Txn) -> None:
        if len(txn.ops) > limits.TXN_OPS:
            raise Violation(f"I9: {len(txn.ops)} ops")
        for key, value in txn.ops:
            noun = None if value is None else decode(keys.kind(key), value)
            match keys.kind(key):
                case "step":
                    self._look_at_step(key, noun)
                case "run":
                    self._look_at_run(key, noun)
                case "spec":
                    self._look_at_input(key, noun)
                case "runslot":
                    if self.store.count("runslot") > self.plan.limit:
                        raise Violation("I8: more runs go than the limit lets")

    def _look_at_step(self, key: str, step: Any) -> None:
        run_id, name, index = keys.step_parts(key)
        run = self.store.get(keys.run(run_id))
        assert run is not None
        if self.ended.setdefault(key, step) != step:
            raise Violation(f"I4: {key} changed after its end")
        if step.state not in STEP_TERMINAL:
            del self.ended[key]
        work = step.job or step.run
        if work and self.work_of.setdefault(key, work) != work:
            raise Violation(f"I1: {key} has two jobs")
        drawn = self.plan.steps.get(name) if run.noun.pipeline == "drawn" else None
        if step.state in ("running", "waiting") and step.since_ms == step.started_ms:
            self._look_at_start(run_id, run.noun, name, drawn, index)

    def _look_at_start(self, run_id: str, run: Any, name: str, drawn: Any, index: Any) -> None:
        if drawn is None:
            return
        for waited in drawn.waits_for if index is None else ():
            other = self.store.get(keys.step(run_id, waited))
            if other is None or other.noun.state not in STEP_TERMINAL:
                raise Violation(f"I2: {name} began before the end of {waited}")
        if (run.stop_ms and not drawn.spec.is_final) or run.stop_finally:
            raise Violation(f"I5: {name} began after a stop")
        if drawn.spec.is_final:
            for other_name, main in self.plan.steps.items():
                entry = self.store.get(keys.step(run_id, other_name))
                if not main.spec.is_final and (
                    entry is None or entry.noun.state not in STEP_TERMINAL
                ):
                    raise Violation(f"I2: {name} began before the end of {other_name}")

    def _look_at_input(self, key: str, spec: Any) -> None:
        """A job gets the whole output of what it takes from, the last members included."""
        drawn = self.plan.steps.get(spec.name)
        if drawn is None or not drawn.takes:
            return
        source = self.plan.steps[drawn.takes]
        job = self.store.get(keys.job(keys.last(key)))
        assert job is not None
        came = self.store.get(keys.step(job.noun.run, drawn.takes))
        assert came is not None
        wanted: Any = None
        if came.noun.state == "succeeded" and source.spec.map is not None:
            place = came.noun.reused or job.noun.run
            ends = [self.store.get(keys.step(place, drawn.takes, i)) for i in range(99)]
            wanted = [
                f"{drawn.takes}/{i}" if good and ends[i] is not None else None
                for i, good in enumerate(source.outcomes)
            ]
        elif came.noun.state == "succeeded" and came.noun.job:
            wanted = drawn.takes
        if source.spec.gate is None and not source.spec.pipeline and spec.input != wanted:
            raise Violation(f"I10: {spec.name} got {spec.input!r}, expected {wanted!r}")

    def _look_at_limit(self) -> None:
        going = [
            key
            for key, entry in self.store.scan("run/")
            if entry.noun.state == "running" and entry.noun.pipeline == "drawn"
        ]
        if self.plan.limit and len(going) > self.plan.limit:
            raise Violation(f"I8: {len(going)} runs go, the limit is {self.plan.limit}")

    def _look_at_run(self, key: str, run: Any) -> None:
        if self.ended.setdefault(key, run) != run:
            raise Violation(f"I4: {key} changed after its end")
        if run.state not in RUN_TERMINAL:
            del self.ended[key]
            self._look_at_limit()
            return
        for step_key, entry in self.store.scan(keys.steps_of(keys.last(key))):
            if entry.noun.state not in STEP_TERMINAL:
                raise Violation(f"I6: {key} ended before {step_key}")
            job = self.store.get(keys.job(entry.noun.job)) if entry.noun.job else None
            if job is not None and job.noun.state not in TERMINAL:
                raise Violation(f"I6: {key} ended before a job of {step_key}")

    # -- what happens

    def act(self) -> None:
        """Let one thing happen, by chance."""
        rng, decider = self.rng, self.rng.choice(self.deciders)
        chance = rng.random()
        if chance < 0.25:
            self._catch_up(decider, rng.randint(1, 6))
        elif chance < 0.45:
            self._decide(decider)
        elif chance < 0.70 and self.flying:
            self._deliver()
        elif chance < 0.90:
            self._end_a_job()
        elif chance < 0.93:
            decider.crash()
        elif chance < 0.96 and self.flying:
            self.flying.pop(rng.randrange(len(self.flying)))  # its sender died with it
        elif chance < 0.98:
            self._answer_a_gate()
        elif self.stops and rng.random() < 0.4:
            self._stop()
        else:
            self.now_ms += rng.choice((1, 1_000, 15_000))

    def _catch_up(self, decider: Decider, most: int) -> None:
        for txn in self.log[decider.applied : decider.applied + most]:
            assert isinstance(decider.state.apply(txn), Committed)
            decider.applied += 1
            for key, _ in txn.ops:
                if key.startswith("step/"):
                    standing = decider.standings.get(key.split("/")[1])
                    entry = decider.state.get(key)
                    if standing is not None and entry is not None:
                        standing.take(key, entry.noun)

    def _decide(self, decider: Decider) -> None:
        runs = [keys.last(key) for key, _ in decider.state.scan("run/")]
        if not runs:
            return
        run_id = self.rng.choice(runs)
        standing = None
        if self.rng.random() < 0.7:
            if run_id not in decider.standings:
                decider.standings[run_id] = dag.standing_of(decider.state, run_id)
            standing = decider.standings[run_id]
        txn = dag.advance(
            decider.state, run_id, now_ms=self.now_ms, new_id=self.new_id, standing=standing
        )
        if txn is not None:
            self.counts["decided"] += 1
            self.flying.append(self.cut(txn))

    def _deliver(self) -> None:
        i = self.rng.randrange(len(self.flying))
        txn = self.flying[i]
        if self.rng.random() < 0.9:  # else it comes again
            self.flying.pop(i)
        self.counts["committed" if self.commit(txn) else "conflict"] += 1

    def _end_a_job(self) -> bool:
        jobs = [
            (key, entry)
            for key, entry in self.store.scan("job/")
            if entry.noun.state not in TERMINAL
        ]
        if not jobs:
            return False
        key, entry = self.rng.choice(jobs)
        job = entry.noun
        if job.state == "pending":
            after = move(job, "claim", "running", now_ms=self.now_ms, n=1)
        elif job.cancel_ms:
            after = move(job, "cancel", "cancelled", now_ms=self.now_ms, reason="cancelled")
        elif self._succeeds(job):
            after = move(job, "succeed", "succeeded", now_ms=self.now_ms)
        else:
            after = move(job, "fail", "failed", now_ms=self.now_ms, reason="exit")
        ops = [(key, encode(after))]
        if after.state == "succeeded":
            text = f'"{job.step}"'.encode()
            ops.append((keys.output(keys.last(key), 0), encode(Output(text, len(text)))))
        self.commit(Txn((at(key, entry.revision),), tuple(ops)))
        return True

    def _succeeds(self, job: Any) -> bool:
        run = self.store.get(keys.run(job.run))
        assert run is not None
        if run.noun.pipeline == "child":
            return self.plan.child_outcome[job.step]
        name, _, index = job.step.partition("/")
        return self.plan.steps[name].outcomes[int(index or 0)]

    def _answer_a_gate(self, *, forced: bool = False) -> None:
        for key, entry in list(self.store.scan("step/")):
            run_id, name, _ = keys.step_parts(key)
            drawn = self.plan.steps.get(name)
            if entry.noun.state != "waiting" or drawn is None or drawn.answer == "timeout":
                continue
            if forced or self.rng.random() < 0.5:
                approve = drawn.answer == "approve"
                txn = dag.answer_gate(
                    self.store,
                    run_id,
                    name,
                    approve=approve,
                    by="t",
                    comment="",
                    now_ms=self.now_ms,
                )
                if txn is not None:
                    self.commit(txn)

    def _stop(self) -> None:
        run_id = self.rng.choice([*self.runs, "none"])
        txn = dag.stop(self.store, run_id, "test", self.now_ms, again=self.rng.random() < 0.3)
        if txn is not None:
            self.stopped.add(run_id)
            self.commit(txn)

    def rerun(self) -> None:
        """Run what has ended again; whatever is taken over, the end must be the same."""
        before, self.runs = self.runs, []
        for old_id in before:
            run = self.store.get(keys.run(old_id))
            assert run is not None
            if not run.noun.started_ms:
                continue
            since = self.rng.choice(("failed", "start", *self.plan.steps))
            new_id = self.new_id()
            txn = dag.rerun(self.store, old_id, run_id=new_id, since=since, now_ms=self.now_ms)
            assert isinstance(txn, Txn), txn
            self.commit(txn)
            self.runs.append(new_id)
            self.counts["rerun"] += 1

    # -- the end

    def settle(self) -> None:
        """Let one node do all that is left; everything must end (I7)."""
        decider = self.deciders[0]
        for _ in range(3_000):
            self._catch_up(decider, len(self.log))
            moved = False
            for key, entry in list(decider.state.scan("run/")):
                if entry.noun.state in RUN_TERMINAL:
                    continue
                txn = dag.advance(
                    decider.state, keys.last(key), now_ms=self.now_ms, new_id=self.new_id
                )
                if txn is not None:
                    moved = self.commit(self.cut(txn)) or moved
                    self._catch_up(decider, len(self.log))
            if self._end_a_job():
                continue
            self._answer_a_gate(forced=True)
            if not moved:
                if self._all_ended():
                    return
                self.now_ms += 10_000
        raise Violation("I7: a run does not end")

    def _all_ended(self) -> bool:
        return all(entry.noun.state in RUN_TERMINAL for _, entry in self.store.scan("run/"))

    def check_oracle(self) -> None:
        """Hold what became of each run that nobody stopped against the oracle (I3)."""
        wanted, state = expected(self.plan)
        for key, entry in self.store.scan("step/"):
            self.counts["taken over"] += bool(entry.noun.reused)
            if entry.noun.reused and keys.step_parts(key)[1].startswith("f"):
                raise Violation(f"I3: {key} of finally was taken over")
        for run_id in self.runs:
            run = self.store.get(keys.run(run_id))
            assert run is not None
            if run_id in self.stopped or run.noun.stop_ms:
                continue
            found = {
                name: entry.noun.state
                for name in wanted
                for entry in [self.store.get(keys.step(run_id, name))]
                if entry is not None
            }
            if found != wanted:
                raise Violation(f"I3: {found}, expected {wanted}")
            if run.noun.state != state:
                raise Violation(f"I3: the run {run.noun.state}, expected {state}")
        if self.store.count("runslot"):
            raise Violation("I8: a place is never given back")
