"""What must hold of a cluster that was broken and has healed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Container, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.cluster.cluster import Cluster, ClusterNode
from tests.cluster.stores import NAMESPACE, ByHttp
from tests.cluster.trace import Trace
from tests.integration.node_process import TERMINAL, Refused, until
from tests.sim.consensus.linearizable import Operation, check

__all__ = ["check_all", "check_history", "check_jobs", "check_nodes_agree", "check_starts"]

_END_S = 60.0  # after healing no job is stuck longer


def check_all(
    cluster: Cluster, trace: Trace, ledger: Path, *, reasons: Container[str] = ("node_lost",)
) -> None:
    """Check everything, with a last read of each key that was used.

    `reasons` are those for which a job may have failed.
    """
    check_jobs(cluster, trace.jobs, reasons)
    check_starts(ledger)
    check_nodes_agree(cluster)
    check_history([*trace.operations, *last_reads(cluster, trace.operations)])
    check_repairs(cluster.nodes)


def last_reads(cluster: Cluster, history: Iterable[Operation]) -> list[Operation]:
    """Read every key that was written, at one node after the other: nothing may be lost."""
    found = []
    keys = sorted({operation.key for operation in history})
    for number, node in enumerate(cluster.nodes):
        with closing(ByHttp(node, cluster.token)) as store:
            for key in keys[number :: len(cluster.nodes)]:
                invoked = time.monotonic()
                read = store.read(key)
                value, now = read[0] if read else None, time.monotonic()
                found.append(Operation(key, "read", value, invoked, now, client="last"))
    return found


def check_history(history: list[Operation]) -> None:
    """Every key's history is linearizable; one that can't be decided counts as not."""
    verdict = check(history)
    assert verdict.ok, str(verdict)


def check_jobs(cluster: Cluster, jobs: Iterable[str], reasons: Container[str]) -> Counter[str]:
    """Every accepted job is there and ends within a minute, as every node says; return how."""
    deadline = time.monotonic() + _END_S
    node = cluster.nodes[0]
    states: Counter[str] = Counter()
    for job_id in jobs:
        job = _ended(node, job_id, deadline)
        states[f"{job['state']} {job['reason']}"] += 1
        good = job["state"] == "succeeded" or job["reason"] in reasons
        assert good, f"{job_id}: {job['state']} {job['reason']} {job['detail']}"
    for other in cluster.nodes[1:]:
        until(lambda other=other: _open_jobs(other) == 0, 10)  # type: ignore[misc]
    return states


def _ended(node: ClusterNode, job_id: str, deadline: float) -> dict[str, Any]:
    while True:
        try:
            job = node.job(job_id)
        except Refused as refused:
            assert refused.status == 503, f"job {job_id} was accepted, and is lost: {refused}"
        else:
            if job["state"] in TERMINAL:
                return job
            if time.monotonic() > deadline:
                why = node.call("GET", f"/jobs/{job_id}/explain")
                raise AssertionError(f"stuck for {_END_S:.0f} s: {job} {why}")
        time.sleep(0.1)


def _open_jobs(node: ClusterNode) -> int:
    jobs = node.call("GET", "/status")["jobs"]
    return sum(jobs.get(state, 0) for state in ("pending", "waiting", "running"))


def check_starts(ledger: Path) -> int:
    """No attempt was started twice, and each had a fence of its own; return how many there were."""
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    starts: Counter[tuple[str, str]] = Counter()
    fences: dict[str, tuple[str, str]] = {}
    for line in lines:
        job_id, attempt, fence, _ = line.split()
        starts[job_id, attempt] += 1
        known = fences.setdefault(fence, (job_id, attempt))
        assert known == (job_id, attempt), f"fence {fence} is of {known} and of {job_id} {attempt}"
    twice = {start: times for start, times in starts.items() if times > 1}
    assert not twice, f"started more than once: {twice}"
    return len(starts)


def check_nodes_agree(cluster: Cluster) -> None:
    """Once it is quiet all nodes have the same revision, and each key at the same one."""

    def settled() -> bool:
        revisions = {status["revision"] for status in cluster.statuses()}
        return len(revisions) == 1

    until(settled, 30)
    first, *others = [_revisions(node, cluster.token) for node in cluster.nodes]
    for node, found in zip(cluster.nodes[1:], others, strict=True):
        assert found == first, f"{node.name} differs: {set(found.items()) ^ set(first.items())}"


def _revisions(node: ClusterNode, token: str) -> dict[str, int]:
    found: dict[str, int] = {}
    cursor = ""
    with closing(ByHttp(node, token)) as store:
        while True:
            page = store.get(f"/kv/{NAMESPACE}?limit=500&cursor={cursor}")
            found |= {item["key"]: item["revision"] for item in page["items"]}
            cursor = page["next_cursor"]
            if not cursor:
                return found


def check_repairs(nodes: Iterable[ClusterNode]) -> None:
    """Nothing was found by the reconcile pass alone: homes and ranks did it all in time."""
    for node in nodes:
        repairs = node.metrics()["jobd_reconcile_repairs_total"]
        assert repairs == 0, f"{node.name}: the reconcile pass had to repair {repairs:.0f}"
