"""What is bounded says so at its bound; a fan-out whose entity was given up goes on by itself."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from actors import limits
from actors.errors import Busy
from actors.model import keys
from actors.runtime import Context, Effects
from actors.task_set import Advance, TaskSet
from tests.sim.node.simulation import Simulation
from tests.sim.node.test_scenarios import ask, started, state_of, submit, with_


def has_ended(sim: Simulation, job_id: str) -> bool:
    return state_of(sim, keys.job(job_id)) == "succeeded"


def test_a_fan_out_goes_on_after_its_entity_was_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    original = TaskSet._handlers[Advance]
    left = [3]  # what reaches an entity that is not there

    def deaf(self: Any, message: Any, context: Context) -> Effects:
        if left[0]:
            left[0] -= 1
            return None
        result: Effects = original(self, message, context)
        return result

    monkeypatch.setitem(TaskSet._handlers, Advance, deaf)
    monkeypatch.setattr(TaskSet, "on_start", lambda self: None)
    sim = started(3)
    job_id = submit(sim, with_(tasks=3)).job_id
    assert sim.run_until(partial(has_ended, sim, job_id), 600.0)
    assert left == [0]


def test_keys_of_the_store_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "KV_KEYS", 2)
    sim = started(3)
    gateway = sim.node.gateway
    for name in ("a", "b", "a"):
        ask(sim, gateway.put_kv("n", name, b"1"))
    refused = ask(sim, gateway.put_kv("n", "c", b"1"))
    assert isinstance(refused, Busy)
    assert "2 keys already" in refused.message
    ask(sim, gateway.delete_kv("n", "a"))
    assert isinstance(ask(sim, gateway.put_kv("n", "c", b"1")), int)


def test_idempotency_keys_of_specs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IDEMPOTENCY_KEYS_PER_TOKEN", 1)
    sim = started(3)
    first = submit(sim, with_(idempotency_key="one"))
    refused = submit(sim, with_(idempotency_key="two"))
    assert isinstance(refused, Busy)
    assert "specs have 1 idempotency keys" in refused.message
    again = submit(sim, with_(idempotency_key="one"))
    assert (again.job_id, again.replayed) == (first.job_id, True)
