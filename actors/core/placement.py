"""Placement: feasible -> rank -> place, the same pure function at every node.

Rules of this file:
P1  What a job asks of cpu and memory is never over-committed: the free amounts of a node are what
    it has less what its attempts and reservations asked for, whatever these really use.
P2  A job that asks for nothing takes one slot and reserves nothing.
P3  Every scheduler ranks alike: the node of rank k acts k x 200 ms later than the first.
P4  Best first: a job that fits no node now is passed over, and waits with its reasons (`explain`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from actors.model.spec import JobSpec, Resources

__all__ = [
    "Candidate",
    "NodeCapacity",
    "Placed",
    "Reason",
    "Reservation",
    "Shape",
    "feasible",
    "place",
    "rank",
    "shape_of",
]

Shape = tuple[object, ...]


class NodeCapacity(NamedTuple):
    """What a node says of itself in its heartbeats; totals of 0 are unknown and hold no request."""

    node: str
    slots_total: int
    slots_free: int
    cpu_milli_total: int
    cpu_milli_free: int
    memory_total: int
    memory_free: int
    executors: frozenset[str]  # the job types that it can run
    labels: dict[str, str] = {}
    name: str = ""
    cordoned: bool = False
    ready: bool = True  # False while it may claim nothing: it starts, stops or is cut off

    def less(self, asked: Resources) -> NodeCapacity:
        """Return what is left beside one more attempt."""
        return self._replace(
            slots_free=self.slots_free - 1,
            cpu_milli_free=self.cpu_milli_free - asked.cpu_milli,
            memory_free=self.memory_free - asked.memory_bytes,
        )


class Reason(NamedTuple):
    """Why a node does not do. `permanent`: no job that ends there would change it."""

    code: str
    message: str
    permanent: bool


class Reservation(NamedTuple):
    """A claim under way: it holds its slot until the feed shows what became of it."""

    node: str
    resources: Resources


class Candidate(NamedTuple):
    """A pending job or task with its spec."""

    job_id: str
    task_index: int
    spec: JobSpec


class Placed(NamedTuple):
    """Where a candidate may start now: node ids, the best first."""

    job_id: str
    task_index: int
    nodes: tuple[str, ...]


def feasible(spec: JobSpec, node: NodeCapacity) -> list[Reason]:
    """Return why this node can't start the job now; empty: it can."""
    reasons = _wrong_node(spec, node)
    asked = spec.resources
    if node.slots_free <= 0:
        text = f"all {node.slots_total} slots are in use"
        reasons.append(Reason("slots", text, node.slots_total == 0))
    if asked.cpu_milli > node.cpu_milli_free:
        text = f"needs {_cpu(asked.cpu_milli)} cpu, {_cpu(node.cpu_milli_free)} free"
        reasons.append(Reason("cpu", text, asked.cpu_milli > node.cpu_milli_total))
    if asked.memory_bytes > node.memory_free:
        text = f"needs {_mib(asked.memory_bytes)} memory, {_mib(node.memory_free)} free"
        reasons.append(Reason("memory", text, asked.memory_bytes > node.memory_total))
    return reasons


def rank(spec: JobSpec, nodes: Iterable[NodeCapacity], tie: str) -> list[NodeCapacity]:
    """Order feasible nodes, best first.

    A job that reserves cpu or memory goes where least is left over (best fit: large requests keep
    finding room), one that asks for none, or to be spread, where most slots are free. `tie` (the
    job's id) orders equals by rendezvous hash, so that many nodes share many jobs.
    """
    spread = spec.placement.spread or not (spec.resources.cpu_milli or spec.resources.memory_bytes)

    def key(node: NodeCapacity) -> tuple[float, bytes]:
        if spread:
            return -node.slots_free / max(node.slots_total, 1), _rendezvous(tie, node.node)
        cpu = node.cpu_milli_free / max(node.cpu_milli_total, 1)
        memory = node.memory_free / max(node.memory_total, 1)
        return cpu + memory, _rendezvous(tie, node.node)

    return sorted(nodes, key=key)


def place(
    pending: Iterable[Candidate],
    nodes: Iterable[NodeCapacity],
    reservations: Iterable[Reservation],
    limit: int,
) -> list[Placed]:
    """Place at most `limit` candidates, taken best first, on what is free beside reservations.

    Each one placed takes its room from its first node before the next is looked at. Stops when no
    slot is free anywhere; a shape of request that found no node is not tried again in this pass.
    """
    free = {node.node: node for node in nodes}
    for held in reservations:
        if held.node in free:
            free[held.node] = free[held.node].less(held.resources)
    open_slots = sum(max(node.slots_free, 0) for node in free.values() if not node.cordoned)
    placed: list[Placed] = []
    hopeless: set[Shape] = set()
    for candidate in pending:
        if len(placed) >= limit or open_slots <= 0:
            break
        shape = shape_of(candidate.spec)
        if shape in hopeless:
            continue
        fitting = [node for node in free.values() if not feasible(candidate.spec, node)]
        if not fitting:
            hopeless.add(shape)
            continue
        ranked = rank(candidate.spec, fitting, candidate.job_id)
        best = ranked[0].node
        free[best] = free[best].less(candidate.spec.resources)
        open_slots -= 1
        names = tuple(node.node for node in ranked)
        placed.append(Placed(candidate.job_id, candidate.task_index, names))
    return placed


def _wrong_node(spec: JobSpec, node: NodeCapacity) -> list[Reason]:
    reasons = []
    if spec.type not in node.executors:
        reasons.append(Reason("executor", f"no executor for {spec.type} jobs", True))
    if not node.ready:
        reasons.append(Reason("not_ready", "it is not ready to take work", False))
    if node.cordoned:
        reasons.append(Reason("cordoned", "cordoned: it takes no new work", True))
    if spec.placement.node not in (None, node.node, node.name):
        text = f"the job asks for node {spec.placement.node}"
        reasons.append(Reason("node", text, True))
    for label, wanted in sorted(spec.placement.labels.items()):
        if node.labels.get(label) != wanted:
            text = f"needs label {label}={wanted}, has {node.labels.get(label, 'none')}"
            reasons.append(Reason("label", text, True))
    return reasons


def shape_of(spec: JobSpec) -> Shape:
    """Return all of a spec that `feasible` looks at."""
    labels = tuple(sorted(spec.placement.labels.items()))
    return spec.type, spec.resources, spec.placement.node, labels


def _rendezvous(tie: str, node: str) -> bytes:
    return hashlib.blake2b(f"{tie}\0{node}".encode(), digest_size=8).digest()


def _cpu(milli: int) -> str:
    return f"{milli / 1000:g}"


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
