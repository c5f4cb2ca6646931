"""What a node has to give to jobs, as its scheduler begins with it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from actors.core.placement import NodeCapacity
from actors.core.view import View

__all__ = ["own_capacity", "slots_to_start"]


def own_capacity(node: str, name: str, slots: int, labels: Mapping[str, str]) -> NodeCapacity:
    """Return this machine's capacity, with nothing taken of it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cpu_milli = len(os.sched_getaffinity(0)) * 1000
    return NodeCapacity(
        node=node,
        slots_total=slots,
        slots_free=slots,
        cpu_milli_total=cpu_milli,
        cpu_milli_free=cpu_milli,
        memory_total=memory,
        memory_free=memory,
        executors=frozenset({"command"}),
        labels=dict(labels),
        name=name,
    )


def slots_to_start(view: View, node: str, slots: int) -> int:
    """Return how many slots to have: attempts of before a smaller `--slots` keep theirs."""
    held = (e.noun.slot for _, e in view.scan("attempt/") if e.noun.node == node)
    return max([slots, *(int(slot) + 1 for slot in held)])
