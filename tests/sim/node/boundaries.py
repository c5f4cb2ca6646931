"""One job from its submission to its end, killed at one boundary: a host event or a disk operation.

Between two boundaries nothing leaves an actor and nothing reaches the disk, so a kill at each of
them is a kill at every moment that can make a difference.
"""

from __future__ import annotations

from typing import NamedTuple

from actors.model import keys
from actors.model.job import Job
from actors.model.spec import JobSpec, NodeLost, Retry
from tests.sim.node.monitor import need
from tests.sim.node.simulation import Simulation

__all__ = ["SCENARIOS", "Scenario", "live"]

_KEY = "a client's own"
_SEED = 1


class Scenario(NamedTuple):
    """What is submitted, and how it ends whatever dies meanwhile."""

    spec: JobSpec
    ends: str
    attempts: int
    cancel: bool = False


def _command(*argv: str, retry: Retry = Retry()) -> JobSpec:  # noqa: B008 - immutable
    lost = NodeLost(0, "requeue")
    return JobSpec(name="one", type="command", argv=argv, retry=retry, node_lost=lost)


SCENARIOS = {
    "success": Scenario(_command("30:0:big"), "succeeded", 1),
    "retry": Scenario(
        _command("10:1", "10:0", retry=Retry(3, delay_ms=20, jitter="none")), "succeeded", 2
    ),
    "cancel": Scenario(_command("600000:0"), "cancelled", 1, cancel=True),
}


def live(
    scenario: Scenario, *, kill_at: int | None, again: int | None = None, power: bool = False
) -> Simulation:
    """Run a scenario to rest and require its end; `kill_at` None kills nothing.

    With `again` the node is killed once more, so many boundaries after it died.
    """
    sim = Simulation(_SEED)
    sim.kill_at, sim.kill_again, sim.kill_with_power = kill_at, again, power
    sim.reboot_s = lambda: 0.05
    sim.boot()
    sim.clients.submit(scenario.spec, _KEY)
    if scenario.cancel:
        sim.run_until(lambda: bool(sim.monitor.accepted and sim.monitor.spawns), 60.0)
        sim.clients.cancel()
    sim.run_until(lambda: bool(sim.monitor.accepted) and not sim.clients.waiting, 60.0)
    sim.rest()
    (job_id,) = sim.monitor.accepted
    entry = sim.node.state.get(keys.job(job_id))
    assert entry is not None, "accepted jobs are there"
    job: Job = entry.noun
    need(job.state == scenario.ends, "N-n", f"it ended {job.state} ({job.reason})")
    lost = sum(summary.outcome == "lost" for summary in job.last)
    need(job.n - lost <= scenario.attempts, "N-n", f"{job.n} attempts, {lost} lost")
    if not power:
        need(job.n == scenario.attempts and not lost, "N-n", f"{job.n} attempts, {lost} lost")
    return sim
