"""Ended jobs wait for the history, within a bound; it goes on after any crash."""

from __future__ import annotations

from functools import partial

import pytest

from actors import addresses, limits
from actors.core.history import Position
from actors.model import keys
from actors.model.job import TERMINAL
from tests.sim.node import history as sim_history
from tests.sim.node.simulation import Simulation
from tests.sim.node.test_scenarios import started, state_of, submit, with_

LONG_S = limits.TERMINAL_KEEP_S + 100.0


def has_ended(sim: Simulation, job_id: str) -> bool:
    return state_of(sim, keys.job(job_id)) in TERMINAL


def run_jobs(sim: Simulation, count: int) -> list[str]:
    jobs = [submit(sim, with_(argv=("10:0",))).job_id for _ in range(count)]
    for job_id in jobs:
        assert sim.run_until(partial(has_ended, sim, job_id), 20.0)
    return jobs


def kept(sim: Simulation, jobs: list[str]) -> list[str]:
    return [job_id for job_id in jobs if sim.node.state.get(keys.job(job_id)) is not None]


def test_ended_jobs_wait_until_the_history_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    sim = started(3)
    monkeypatch.setattr(sim_history, "_DEATHS", 1.0)
    jobs = run_jobs(sim, 4)
    sim.run_until(lambda: False, LONG_S)
    assert kept(sim, jobs) == jobs
    history = sim.node.actor(addresses.HISTORY)
    assert history.lag_s(sim.machine.host.clock.now_ms()) >= limits.TERMINAL_KEEP_S
    monkeypatch.setattr(sim_history, "_DEATHS", 0.0)
    assert sim.run_until(lambda: not kept(sim, jobs), 100.0)
    assert history.lag_s(sim.machine.host.clock.now_ms()) == 0.0
    assert all(sim.machine.history.has["job", job_id] == 1 for job_id in jobs)
    assert sim.node.actor(addresses.HOME).unrecorded == 0


def test_a_history_that_is_down_for_long_costs_records_not_the_store(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sim = started(3)
    monkeypatch.setattr(sim_history, "_DEATHS", 1.0)
    monkeypatch.setattr(limits, "HISTORY_WAIT_JOBS", 2)
    jobs = run_jobs(sim, 5)
    sim.monitor.deleted.update(jobs)  # that they go without a record is what is tried
    sim.run_until(lambda: False, LONG_S)
    assert len(kept(sim, jobs)) == 2
    assert sim.node.actor(addresses.HOME).unrecorded == 3
    assert "go without a record" in caplog.text


def test_a_history_that_begins_anew_gets_what_the_store_still_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sim = started(3)
    monkeypatch.setattr(sim_history, "_DEATHS", 0.0)
    jobs = run_jobs(sim, 3)
    sim.run_until(lambda: False, 5.0)
    moved_aside = sim.machine.history.has
    assert moved_aside["job", jobs[0]] == 1
    sim.machine.history.has = type(moved_aside)()
    sim.machine.history.position = Position()
    jobs += run_jobs(sim, 1)
    sim.run_until(lambda: False, 5.0)
    assert [sim.machine.history.has["job", job_id] for job_id in jobs] == [1, 1, 1, 1]


def test_a_home_that_restarts_is_told_how_far_history_is(monkeypatch: pytest.MonkeyPatch) -> None:
    sim = started(3)
    monkeypatch.setattr(sim_history, "_DEATHS", 0.0)
    run_jobs(sim, 1)
    sim.run_until(lambda: False, 5.0)
    before = sim.node.actor(addresses.HOME)
    assert before._recorded > 0
    monkeypatch.setattr(sim.monitor, "derived", lambda: None)  # N-k: no actor crashes
    monkeypatch.setattr(before, "decide", lambda: 1 / 0)
    run_jobs(sim, 1)
    assert sim.run_until(lambda: sim.node.actor(addresses.HOME) is not before, 5.0)
    sim.run_until(lambda: False, 0.5)
    assert sim.node.actor(addresses.HOME)._recorded == before._recorded
