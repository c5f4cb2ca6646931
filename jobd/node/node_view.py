"""How this node looks to the cluster."""

from __future__ import annotations

from actors.core.placement import NodeCapacity
from actors.core.view import View
from actors.model import keys
from jobd import __version__
from jobd.api.node_views import Condition, NodeView
from jobd.api.stamp import stamp

__all__ = ["node_view"]


def node_view(
    view: View,
    capacity: NodeCapacity,
    *,
    incarnation: int,
    uptime_s: float,
    waits_for: str,
    read_only: str | None,
    addresses: dict[str, str],
) -> NodeView:
    """Return the view of the node with this capacity; `waits_for` is why it takes no work yet."""
    entry = view.get(keys.session(capacity.node))
    session = entry.noun if entry is not None and entry.noun.incarnation == incarnation else None
    conditions = [Condition("not_ready", f"waits for {waits_for}")] if waits_for else []
    if read_only:
        conditions.append(Condition("read_only", read_only))
    return NodeView(
        id=capacity.node,
        name=capacity.name,
        version=__version__,
        incarnation=incarnation,
        state=session.state if session is not None else "starting",
        since=stamp(session.since_ms) if session is not None else None,
        uptime_s=round(uptime_s, 3),
        labels=capacity.labels,
        executors=sorted(capacity.executors),
        slots_total=capacity.slots_total,
        slots_free=capacity.slots_free,
        cpu_milli_total=capacity.cpu_milli_total,
        cpu_milli_free=capacity.cpu_milli_free,
        memory_bytes_total=capacity.memory_total,
        memory_bytes_free=capacity.memory_free,
        conditions=conditions,
        addresses=addresses,
    )
