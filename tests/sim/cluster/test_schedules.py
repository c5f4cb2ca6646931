"""Schedules of a cluster of which nodes die, stall, are cut off or have their clocks set.

Whatever happens, each nominal time is decided once: it is one job, or a record that says why not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec
import pytest

from actors import addresses
from actors.consensus_replica import SubmitTxn
from actors.core import schedule
from actors.core.homes import ranks
from actors.core.schedule.moment import fire_name
from actors.core.schedule.times import nominal_times
from actors.core.schedule.turn import Turn
from actors.core.store.txn import Txn
from actors.model import keys
from actors.model.codec import encode
from actors.model.recurrence import Catchup, Recurrence
from actors.model.schedule import Schedule
from actors.model.spec import JobSpec
from actors.model.target import Target
from tests.sim.cluster.host import at
from tests.sim.cluster.simulation import Simulation
from tests.sim.cluster.tempo_order import TempoOrder
from tests.sim.violation import ViolationError

NAMES = ("a", "b", "c")
SPEC = JobSpec(name="s", type="command", argv=("5:0",))
EVERY_SECOND = Recurrence(cron=("* * * * * *",), overlap="allow")


class Cluster(Simulation):
    """A cluster that takes work and fires schedules."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, order=TempoOrder)
        for machine in self.machines.values():
            machine.schedules = True
        self.boot()
        assert self.run_until(lambda: self.is_ready, 10)
        self.run_for(1.5)

    def define(self, name: str, recurrence: Recurrence) -> None:
        spec = msgspec.structs.replace(SPEC, name=name)
        checks, ops, events = schedule.define_schedule(
            self.monitor.truth,
            name,
            recurrence,
            Target("job", name),
            now_ms=self.host.true_ms,
            principal="me",
        )
        txn = Txn(checks, (*ops, (keys.template(name), encode(spec))), events, self.host.true_ms)
        self.host.ask(at("a", addresses.REPLICA), SubmitTxn(txn), timeout_s=3.0)
        assert self.run_until(lambda: self.record(name) is not None, 5)

    def record(self, name: str) -> Schedule | None:
        entry = self.monitor.truth.get(keys.schedule(name))
        return entry.noun if entry is not None else None

    def home(self, name: str) -> str:
        return ranks(self.monitor.truth, NAMES, keys.schedule(name))[0]

    def check(self, *names: str) -> None:
        """Each nominal time up to the cursor is one job, or recorded as missed or skipped."""
        self.host.heal()
        self.boot()
        self.run_for(4)
        assert self.run_until(lambda: not self.monitor.leftover(), 120), self.monitor.leftover()
        causes = Counter(
            entry.noun.cause.id for _, entry in self.monitor.truth.scan("job/") if entry.noun.cause
        )
        for name in names:
            record = self.record(name)
            assert record is not None
            wanted = []
            for nominal_ms in nominal_times(record.recurrence, name, record.created_ms):
                if nominal_ms > record.cursor_ms:
                    break
                wanted.append(fire_name(name, nominal_ms))
            had = {cause: count for cause, count in causes.items() if cause.startswith(f"{name}@")}
            assert set(had.values()) <= {1}, "one job for each nominal time"
            assert had.keys() <= set(wanted)
            assert record.fires == len(had)
            assert len(wanted) == record.fires + record.missed + record.skipped
            assert self.host.true_ms - record.cursor_ms < 2_000, "it is behind"
        for machine in self.machines.values():
            process = machine.process
            assert process is not None
            assert process.actor(addresses.SCHEDULES).repairs == 0


def _kill(cluster: Cluster) -> None:
    cluster.crash(cluster.home("s0"), back_s=9)


def _stop(cluster: Cluster) -> None:
    cluster.host.pause(cluster.home("s0"), 7.0)


def _cut_off(cluster: Cluster) -> None:
    cluster.isolate(cluster.home("s0"))
    cluster.host.call_later(8.0, cluster.host.heal)


def _set_clock(cluster: Cluster) -> None:
    cluster.machines[cluster.home("s0")].clock.off_ms += 3_600_000


@pytest.mark.parametrize(
    ("fault", "after_s"),
    [
        (_kill, -0.002),
        (_kill, 0.001),
        (_kill, 0.004),
        (_stop, 0.001),
        (_cut_off, 0.002),
        (_set_clock, 0.0),
    ],
)
def test_a_fault_in_the_second_of_a_fire_loses_and_doubles_none(
    fault: Callable[[Cluster], None], after_s: float
) -> None:
    cluster = Cluster(1)
    names = ("s0", "s1")
    for name in names:
        cluster.define(name, EVERY_SECOND)
    due_s = 3 - cluster.host.true_ms % 1000 / 1000
    cluster.run_for(due_s + after_s)
    fault(cluster)
    cluster.run_for(10)
    cluster.check(*names)
    for name in names:
        record = cluster.record(name)
        assert record is not None
        assert (record.missed, record.skipped) == (0, 0), "it was on time"


def test_all_fires_are_on_time_while_nothing_fails() -> None:
    cluster = Cluster(7)
    for i in range(6):
        cluster.define(f"s{i}", EVERY_SECOND)
    cluster.run_for(4)
    late_s = [each for machine in cluster.machines.values() for each in machine.late_s]
    assert len(late_s) > 20
    assert max(late_s) < 0.1
    assert all(machine.late_s for machine in cluster.machines.values()), "homes are shared out"


def test_a_cluster_that_slept_makes_up_for_the_last_fire() -> None:
    cluster = Cluster(8)
    hourly = Recurrence(every_ms=3_600_000, anchor_ms=1)
    cluster.define("last", hourly)
    cluster.define("none", msgspec.structs.replace(hourly, catchup=Catchup("none")))
    for machine in cluster.machines.values():
        machine.clock.off_ms += 5 * 3_600_000  # all wake up at once
    cluster.run_for(20)
    last, none = cluster.record("last"), cluster.record("none")
    assert last is not None
    assert none is not None
    assert (last.fires, last.missed) == (1, 4)
    assert (none.fires, none.missed) == (0, 5)


def test_without_the_check_of_its_record_a_fire_is_doubled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The planted bug: who wakes up late decides from the record that it has."""

    def unchecked(turn: Turn) -> Txn:
        txn = checked(turn)
        checks = [check for check in txn.checks if check[0].startswith("template/")]
        return msgspec.structs.replace(txn, checks=tuple(checks))

    checked = Turn.txn
    monkeypatch.setattr(Turn, "txn", unchecked)
    with pytest.raises(ViolationError, match="C-c"):  # its job is accepted twice
        for seed in range(8):
            cluster = Cluster(seed)
            cluster.define("s0", EVERY_SECOND)
            cluster.run_for(2)
            cluster.isolate(cluster.home("s0"))
            cluster.run_for(5)
            cluster.check("s0")
