"""Single faults at a known moment, and what a cluster makes of them.

Each is a function that raises when a promise is not kept: the tests run them as they are, and the
hunt for planted bugs runs them with the bug.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from actors import addresses
from actors.core.homes import RANK_MS, home_key, ranks
from actors.core.node_state import DrainMode, running_on
from actors.core.room import CLAIM_RANK_MS
from actors.model import keys
from actors.model.job import TERMINAL
from actors.model.spec import Concurrency, JobSpec, NodeLost, Placement, Trigger
from tests.sim.cluster.machine import SLOTS, TIMEOUT_MS
from tests.sim.cluster.shared_order import SharedOrder
from tests.sim.cluster.simulation import Simulation
from tests.sim.cluster.tempo_order import TempoOrder

__all__ = ["SCENARIOS"]

COMMAND = JobSpec(name="one", type="command", argv=("50:0",))
_LONG = "600000:0"
_SCENARIOS: list[Callable[[], None]] = []


def _scenario(run: Callable[[], None]) -> Callable[[], None]:
    _SCENARIOS.append(run)
    return run


class _Cluster(Simulation):
    """A cluster that takes work, of nodes a, b, c; what the scenarios ask of it."""

    def __init__(self, order: type[SharedOrder] = TempoOrder) -> None:
        super().__init__(1, order=order)
        self.boot()
        self.wait(lambda: self.is_ready, 10)
        self.run_for(1.5)  # everybody has heard of everybody

    def wait(self, condition: Callable[[], bool], limit_s: float) -> None:
        assert self.run_until(condition, limit_s), self.monitor.leftover()

    def submit(self, **changes: Any) -> str:
        job_id = self.clients.submit(msgspec.structs.replace(COMMAND, **changes))
        self.wait(lambda: job_id in self.monitor.accepted, 10)
        return job_id

    def job(self, job_id: str) -> Any:
        entry = self.monitor.truth.get(keys.job(job_id))
        assert entry is not None
        return entry.noun

    def place(self, job_id: str) -> str:
        """The node on which a job runs, "" when it does not."""
        attempts = self.monitor.truth.scan(keys.attempts_of(job_id))
        return next((entry.noun.node for _, entry in attempts), "")

    def running(self, **changes: Any) -> str:
        """Submit a job and wait until it is spawned."""
        job_id = self.submit(**changes)
        self.wait(lambda: self.is_spawned(job_id), 10)
        return job_id

    def is_spawned(self, job_id: str) -> bool:
        spawned = (attempt.split("/")[1] for attempt in self.monitor.spawns)
        return job_id in spawned

    def until_ended(self, job_id: str, limit_s: float) -> Any:
        self.wait(lambda: self.job(job_id).state in TERMINAL, limit_s)
        return self.job(job_id)

    def drains(self, node: str) -> bool:
        entry = self.monitor.truth.get(keys.node(node))
        return entry is not None and bool(entry.noun.drain)

    @property
    def now_s(self) -> float:
        return self.host.clock.elapsed_s

    def told(self, kind: str) -> list[Any]:
        """The events of a kind that any node saw."""
        there = (m.process for m in self.machines.values() if m.process is not None)
        events = max((p.actor(addresses.REPLICA).events for p in there), key=len)
        return [event for event in events if event.type == kind]


@_scenario
def a_dead_nodes_jobs_go_on_elsewhere() -> None:
    sim = _Cluster()
    again = NodeLost(0, "requeue")
    job_id = sim.running(argv=(_LONG, "50:0"), node_lost=again)
    failing = sim.submit(argv=(_LONG,), node_lost=NodeLost(0, "fail"), placement=_on(sim, job_id))
    waiting = sim.submit(
        argv=(_LONG, "50:0"), node_lost=NodeLost(3_000, "requeue"), placement=_beside(sim, job_id)
    )
    sim.wait(lambda: bool(sim.place(failing)), 10)
    sim.wait(lambda: bool(sim.place(waiting)), 10)
    dead, died_s = sim.place(job_id), sim.now_s
    sim.crash(dead, back_s=10_000, power=True)
    sim.wait(lambda: sim.place(job_id) not in ("", dead), 20)
    assert sim.now_s - died_s <= TIMEOUT_MS / 1000 + 2, "failure timeout, a second, a heartbeat"
    assert sim.until_ended(job_id, 10).state == "succeeded"
    ended = sim.until_ended(failing, 10)
    assert (ended.state, ended.reason, ended.last[-1].outcome) == ("failed", "node_lost", "lost")
    assert sim.place(waiting) != dead or sim.now_s - died_s < 8.5
    sim.monitor.derived()


def _on(sim: _Cluster, job_id: str) -> Placement:
    return Placement(node=sim.place(job_id))


def _beside(sim: _Cluster, job_id: str) -> Placement:
    other = next(name for name in sim.names if name != sim.place(job_id))
    return Placement(node=other)


@_scenario
def a_late_result_is_told_and_changes_nothing() -> None:
    sim = _Cluster()
    job_id = sim.running(argv=("9000:7", "4000:0"), node_lost=NodeLost(0, "requeue"))
    first = sim.place(job_id)
    sim.isolate(first)
    sim.wait(lambda: sim.place(job_id) not in ("", first), 20)
    sim.wait(lambda: bool(sim.machines[first].supervisor.spool.exits), 10)
    sim.host.heal()
    ended = sim.until_ended(job_id, 20)
    assert (ended.state, ended.n) == ("succeeded", 2)
    sim.wait(lambda: bool(sim.told("jobd:job:superseded")), 20)
    assert sim.told("jobd:job:superseded")[0].data["exit_code"] == 7
    sim.wait(lambda: not sim.monitor.leftover(), 20)
    assert len(sim.told("jobd:job:superseded")) == 1


@_scenario
def the_summary_of_a_late_result_says_so_while_the_job_is_open() -> None:
    sim = _Cluster()
    job_id = sim.running(argv=("9000:7", "60000:0"), node_lost=NodeLost(0, "requeue"))
    first = sim.place(job_id)
    sim.isolate(first)
    sim.wait(lambda: sim.place(job_id) not in ("", first), 20)
    sim.wait(lambda: bool(sim.machines[first].supervisor.spool.exits), 10)
    assert [each.outcome for each in sim.job(job_id).last] == ["lost"]
    sim.host.heal()
    sim.wait(lambda: sim.job(job_id).last[0].outcome == "superseded", 20)
    assert sim.job(job_id).last[0].exit_code == 7
    assert sim.job(job_id).state == "running"


@_scenario
def a_node_that_is_cut_off_ends_what_asks_for_it() -> None:
    sim = _Cluster()
    stays = sim.running(argv=(_LONG,), node_lost=NodeLost(600_000, "fail"))
    first = sim.place(stays)
    job_id = sim.running(
        argv=(_LONG, "50:0"),
        on_isolation="stop",
        node_lost=NodeLost(600_000, "requeue"),
        placement=_on(sim, stays),
    )
    sim.isolate(first)
    cut_s = sim.now_s
    processes = sim.machines[first].supervisor._processes
    sim.wait(lambda: len(processes) == 1, 20)
    assert TIMEOUT_MS / 1000 - 2 <= sim.now_s - cut_s <= TIMEOUT_MS / 1000 + 3
    sim.host.heal()
    ended = sim.until_ended(job_id, 30)
    assert (ended.state, ended.requeues, ended.fails) == ("succeeded", 1, 0)
    assert sim.job(stays).state == "running"


@_scenario
def a_drain_ends_what_runs_and_takes_nothing() -> None:
    _drain("requeue", 0, 5.0)
    _drain("finish", 2_000, 6.0)


def _drain(mode: DrainMode, for_ms: int, limit_s: float) -> None:
    sim = _Cluster()
    job_id = sim.running(argv=(_LONG, "50:0"), placement=Placement(spread=True))
    node = sim.place(job_id)
    pinned = sim.submit(placement=Placement(node=node))
    sim.until_ended(pinned, 10)
    sim.clients.drain(node, mode, for_ms)
    sim.wait(lambda: sim.drains(node) and not running_on(sim.monitor.truth, node), limit_s)
    ended = sim.until_ended(job_id, 10)
    assert (ended.state, ended.fails, ended.requeues) == ("succeeded", 0, 0)
    assert [each.outcome for each in ended.last] == ["preempted", "succeeded"]
    pinned = sim.submit(placement=Placement(node=node))
    sim.run_for(5)
    assert sim.job(pinned).state == "pending"
    assert len(sim.told("jobd:node:draining")) == 1
    sim.clients.uncordon(node)
    sim.until_ended(pinned, 10)


@_scenario
def a_drain_waits_for_what_runs() -> None:
    sim = _Cluster()
    job_id = sim.running(argv=("4000:0",))
    node = sim.place(job_id)
    sim.clients.drain(node, "finish")
    others = [sim.submit() for _ in range(6)]
    for other in others:
        assert sim.until_ended(other, 10).last[-1].node != node
    ended = sim.until_ended(job_id, 10)
    assert (ended.state, len(ended.last)) == ("succeeded", 1)


@_scenario
def a_frozen_best_node_costs_a_moment() -> None:
    sim = _Cluster()
    sim.clients.avoided = {"a"}
    sim.host.pause("a", 4.0)
    began_s = sim.now_s
    jobs = [sim.clients.submit(COMMAND) for _ in range(2 * SLOTS)]
    sim.wait(lambda: all(sim.is_spawned(job_id) for job_id in jobs), 3.9)
    # A turn for each node before. Consensus itself has to do without it, for the accept and again
    # for the claim, and a frame may be stalled on its way.
    assert sim.now_s - began_s < 2 * CLAIM_RANK_MS / 1000 + 2.5, sim.now_s - began_s
    assert all(sim.place(job_id) != "a" for job_id in jobs)


@_scenario
def a_key_holds_across_nodes_and_its_line_is_kept() -> None:
    sim = _Cluster()
    key = (Concurrency("one", 1),)
    jobs = [sim.submit(argv=("150:0",), concurrency=key) for _ in range(6)]
    urgent = sim.submit(argv=("150:0",), concurrency=key, priority=100)
    for job_id in (*jobs, urgent):
        assert sim.until_ended(job_id, 30).state == "succeeded"
    started = sorted((*jobs, urgent), key=lambda job_id: sim.job(job_id).started_ms)
    assert started.index(urgent) <= 2, "it waits for who runs, and for who was let through"
    line = [job_id for job_id in started if job_id != urgent]
    assert line[2:] == sorted(line[2:]), "submit order"
    sim.monitor.derived()


@_scenario
def another_node_decides_when_the_home_does_not() -> None:
    sim = _Cluster()
    job_id = sim.submit(trigger=Trigger(delay_ms=3_000))
    truth = sim.monitor.truth
    home = ranks(truth, sim.order.voters, home_key(truth, keys.job(job_id)))[0]
    due_ms = sim.job(job_id).due_ms
    sim.crash(home, back_s=10_000)
    sim.wait(lambda: sim.job(job_id).state != "scheduled", 10)
    assert sim.job(job_id).since_ms - due_ms <= 2 * RANK_MS, "before the home counts as lost"
    sim.until_ended(job_id, 10)
    sim.monitor.derived()


@_scenario
def a_fan_out_goes_on_without_its_home() -> None:
    sim = _Cluster()
    truth = sim.monitor.truth
    jobs = [
        sim.submit(argv=("300:0",), tasks=12, parallelism=2, placement=Placement(node="a"))
        for _ in range(3)
    ]
    homes = {job_id: ranks(truth, sim.order.voters, keys.job(job_id))[0] for job_id in jobs}
    orphan, dead = next((job_id, home) for job_id, home in homes.items() if home != "a")
    sim.crash(dead, back_s=10_000, power=True)
    made = truth.count(keys.tasks_of(orphan))
    assert made < 12
    sim.run_for(TIMEOUT_MS / 1000 - 1)
    assert truth.count(keys.tasks_of(orphan)) > made, "before the home counts as lost"
    for job_id in jobs:
        assert sim.until_ended(job_id, 30).state == "succeeded"
    sim.monitor.derived()


@_scenario
def who_is_deaf_accuses_nobody() -> None:
    sim = _Cluster()
    sim.host.cut("a", "b")
    sim.run_for(3 * TIMEOUT_MS / 1000)
    assert not sim.told("jobd:node:lost")


@_scenario
def nothing_is_evicted_before_a_majority_has_it_in_history() -> None:
    sim = _Cluster()
    for name in ("a", "b"):
        sim.machines[name].history.is_down = True
    job_id = sim.submit()
    sim.until_ended(job_id, 10)
    sim.run_for(60)
    assert sim.monitor.truth.get(keys.job(job_id)) is not None
    sim.machines["b"].history.is_down = False
    sim.wait(lambda: sim.monitor.truth.get(keys.job(job_id)) is None, 60)


@_scenario
def jobs_go_where_they_may_and_are_spread() -> None:
    sim = _Cluster()
    for name in sim.names:  # each, or who may run it anywhere would be right by chance
        for placement in (Placement(node=name), Placement(labels={"node": name})):
            assert sim.until_ended(sim.submit(placement=placement), 10).last[0].node == name
    spread = [sim.running(argv=(_LONG,), placement=Placement(spread=True)) for _ in range(3)]
    assert sorted(map(sim.place, spread)) == ["a", "b", "c"]


@_scenario
def nodes_share_a_queue_and_seldom_claim_the_same() -> None:
    sim = _Cluster(SharedOrder)
    quick = msgspec.structs.replace(COMMAND, argv=("5:0",))
    jobs = [sim.clients.submit(quick) for _ in range(150)]
    sim.wait(lambda: not sim.clients.waiting and not sim.monitor.leftover(), 60)
    by_node = [sim.job(job_id).last[0].node for job_id in jobs]
    assert all(by_node.count(name) >= 30 for name in sim.names)
    conflicts = sim.monitor.coverage["claim Conflict"]
    assert conflicts <= 150 // 8, f"{conflicts} conflicts for 150 claims"


SCENARIOS = {run.__name__: run for run in _SCENARIOS}
