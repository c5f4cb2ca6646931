"""Single faults at a known moment, each of which the node once did not survive, or might not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors import addresses
from actors.errors import Corrupt, ReadOnly, StorageFailed
from actors.model import keys
from actors.model.event import Event
from actors.model.spec import Concurrency, JobSpec
from tests.sim.node.simulation import Simulation

COMMAND = JobSpec(name="one", type="command", argv=("50:0",))


def with_(**changes: Any) -> JobSpec:
    return msgspec.structs.replace(COMMAND, **changes)


def started(seed: int = 0) -> Simulation:
    """A simulation whose node takes work."""
    sim = Simulation(seed)
    sim.boot()
    assert sim.run_until(lambda: sim.node.is_ready, 10.0)
    return sim


def ask(sim: Simulation, coroutine: Any) -> Any:
    """Run a coroutine of the node's door to its end; return its value, or the error it raised."""
    answers: list[Any] = []
    sim.node.loop.start(coroutine, answers.append)
    sim.run_until(lambda: bool(answers), 60.0)
    return answers[0] if answers else None


def submit(sim: Simulation, spec: JobSpec = COMMAND) -> Any:
    return ask(
        sim,
        sim.node.gateway.submit_job(spec, principal="me", idempotency_key=None, body_hash="b"),
    )


def state_of(sim: Simulation, key: str) -> str:
    entry = sim.node.state.get(key)
    assert entry is not None, f"{key} is not there"
    return str(entry.noun.state)


def events(sim: Simulation) -> list[Event]:
    page = ask(sim, sim.node.gateway.read_events((0, 0), 1000, (), None))
    assert not page.gap
    return list(page.events)


@pytest.mark.parametrize("seed", range(10))
def test_an_image_that_survives_a_power_loss_is_never_ahead_of_the_events(seed: int) -> None:
    sim = started(seed)
    submit(sim)
    sim.run_until(lambda: not sim.monitor.leftover(), 60.0)
    sim.machine.host.run_for(0.5)  # the image is written, no checkpoint was
    before = events(sim)
    sim.crash(power=True)
    assert sim.run_until(lambda: sim.machine.node is not None and sim.node.is_ready, 10.0)
    assert events(sim)[: len(before)] == before
    sim.rest()


def test_a_slot_is_free_again_when_the_supervisor_died_before_it_heard_of_the_attempt() -> None:
    sim = started()
    submit(sim)
    assert sim.run_until(lambda: sim.node.state.count("attempt") == 1, 10.0)
    assert not sim.machine.supervisor.spool.intents
    sim.machine.supervisor.kill()
    sim.rest()


def test_a_failed_sync_ends_the_node_and_nothing_of_it_was_answered() -> None:
    sim = started()
    sim.machine.disk.broken = "log"
    assert submit(sim) is None
    assert sim.crashes == 1
    sim.rest()


def test_a_failed_sync_of_the_event_log_ends_the_node_and_says_why() -> None:
    sim = started()
    submit(sim)
    node, sim.machine.disk.broken = sim.node, "events"
    sim.run_until(lambda: node.fatal is not None, 60.0)
    assert isinstance(node.fatal, StorageFailed)
    assert "event log" in node.fatal.message


def test_a_damaged_event_log_is_told_to_who_reads_it_and_the_node_goes_on() -> None:
    sim = started()
    submit(sim)
    sim.run_until(lambda: not sim.monitor.leftover(), 60.0)
    sim.machine.host.run_for(0.5)
    sim.crash()
    assert sim.run_until(lambda: sim.machine.node is not None and sim.node.is_ready, 10.0)
    for name, inode in sim.machine.disk.files.items():
        if name.startswith("events"):
            inode.data[60] ^= 1
    page = ask(sim, sim.node.gateway.read_events((0, 0), 1000, (), None))
    assert isinstance(page, Corrupt)
    submit(sim)
    sim.run_until(lambda: not sim.monitor.leftover(), 60.0)
    sim.monitor.derived()


def test_a_full_disk_refuses_clearly_and_resumes_by_itself() -> None:
    sim = started()
    sim.machine.disk.full = True
    assert isinstance(submit(sim), ReadOnly)
    assert isinstance(submit(sim), ReadOnly)
    sim.machine.disk.full = False
    sim.machine.host.run_for(1.1)
    submit(sim)
    assert sim.crashes == 0
    sim.rest()


def test_a_free_permit_passes_by_who_was_cancelled_meanwhile() -> None:
    sim = started()
    one = Concurrency("key", 1)
    holder = submit(sim, with_(concurrency=(one,), argv=("1000:0",)))
    sim.run_until(lambda: sim.node.state.count("permit") == 1, 10.0)
    first = submit(sim, with_(concurrency=(one,), tasks=2))
    second = submit(sim, with_(concurrency=(one,), tasks=2))
    scheduler = sim.node.actor(addresses.SCHEDULER)
    sim.run_until(lambda: len(scheduler._blocked_on) == 4, 0.5)
    for _ in range(2):  # take both slots for a while, the holder's when it ends
        submit(sim, with_(argv=("3000:0",), priority=99))
    sim.run_until(lambda: not sim.node.state.count("permit"), 10.0)
    ask(sim, sim.node.gateway.cancel_job(first.job_id, "", None))
    sim.rest()
    assert state_of(sim, keys.job(holder.job_id)) == "succeeded"
    assert state_of(sim, keys.job(second.job_id)) == "succeeded"


def test_the_next_in_line_goes_on_when_the_first_is_cancelled_before_it_starts() -> None:
    sim = started()
    one = Concurrency("key", 1)
    submit(sim, with_(concurrency=(one,), argv=("500:0",)))
    sim.run_until(lambda: sim.node.state.count("permit") == 1, 10.0)
    first = submit(sim, with_(concurrency=(one,)))
    submit(sim, with_(concurrency=(one,)))
    for _ in range(2):  # take both slots for a while, the holder's when it ends
        submit(sim, with_(argv=("3000:0",), priority=99))
    job = keys.job(first.job_id)
    sim.run_until(lambda: state_of(sim, job) == "pending", 10.0)
    ask(sim, sim.node.gateway.cancel_job(first.job_id, "", None))
    sim.rest()
    assert state_of(sim, job) == "cancelled"


def test_who_insists_on_a_key_acts_though_another_was_faster() -> None:
    sim = started()
    queues, insists = Concurrency("key", 1), Concurrency("key", 1, "cancel_running")
    for _ in range(2):  # take both slots, so that both of the key are to start
        submit(sim, with_(argv=("500:0",)))
    sim.run_until(lambda: sim.node.state.count("attempt") == 2, 10.0)
    faster = submit(sim, with_(concurrency=(queues,), argv=("60000:0",)))
    submit(sim, with_(concurrency=(insists,)))
    sim.rest()
    assert state_of(sim, keys.job(faster.job_id)) == "cancelled"
