"""How nodes look to the cluster: this one as it knows itself, others by what they say and hear."""

from __future__ import annotations

from typing import Any, Final, Literal

from actors.core.heartbeat import CLOCK_SKEW, ISOLATED, UPGRADE_NEEDED, Heartbeat
from actors.core.node_state import running_on
from actors.core.placement import NodeCapacity
from actors.core.view import View
from actors.model import keys
from actors.model.node import NodeRecord
from actors.model.session import Session
from jobd import __version__
from jobd.api.node_views import Condition, DrainMode, DrainView, NodeView
from jobd.api.stamp import stamp, stamp_or_none

__all__ = ["Role", "node_view", "other_view"]

Role = Literal["voter", "worker"]

_CONDITIONS: Final = {
    CLOCK_SKEW: "its clock is off: it decides nothing that depends on time",
    ISOLATED: "it hears no majority of the voters: it starts nothing new",
    UPGRADE_NEEDED: "the cluster writes what its version can't read",
}
_UNKNOWN: Final = NodeCapacity("", 0, 0, 0, 0, 0, 0, frozenset())


def node_view(
    view: View,
    capacity: NodeCapacity,
    *,
    incarnation: int,
    uptime_s: float,
    waits_for: str,
    read_only: str | None,
    addresses: dict[str, str],
    role: Role = "voter",
    executed: int = 0,
    conditions: tuple[str, ...] = (),
) -> NodeView:
    """Return the view of the node with this capacity; `waits_for` is why it takes no work yet."""
    entry = view.get(keys.session(capacity.node))
    session = entry.noun if entry is not None and entry.noun.incarnation == incarnation else None
    shown = [Condition("not_ready", f"waits for {waits_for}")] if waits_for else []
    if read_only:
        shown.append(Condition("read_only", read_only))
    return NodeView(
        **_placed(view, capacity.node, session, capacity),
        version=__version__,
        role=role,
        incarnation=incarnation,
        uptime_s=round(uptime_s, 3),
        heard_ms=0,
        executed=executed,
        conditions=shown + _told(conditions),
        addresses=addresses,
    )


def other_view(
    view: View,
    node: str,
    heartbeat: Heartbeat | None,
    free: NodeCapacity | None,
    *,
    role: Role,
    heard_ms: int | None,
) -> NodeView:
    """Return the view of another node, by the store and by its last heartbeat, if there is one.

    `free` is what it has free now; a heartbeat says what it has in all.
    """
    entry = view.get(keys.session(node))
    session: Session | None = entry.noun if entry is not None else None
    record = _record(view, node)
    addresses = {"cluster": record.address, "http": record.http}
    if heartbeat is not None:
        addresses |= heartbeat.addresses
    return NodeView(
        **_placed(view, node, session, free or _taken(heartbeat)),
        version=heartbeat.version if heartbeat is not None else "",
        role=role,
        incarnation=session.incarnation if session is not None else 0,
        uptime_s=None,
        heard_ms=heard_ms,
        executed=heartbeat.executed if heartbeat is not None else 0,
        conditions=_told(heartbeat.conditions if heartbeat is not None else ()),
        addresses={door: address for door, address in addresses.items() if address},
    )


def _record(view: View, node: str) -> NodeRecord:
    entry = view.get(keys.node(node))
    record: NodeRecord = entry.noun if entry is not None else NodeRecord("")
    return record


def _placed(
    view: View, node: str, session: Session | None, capacity: NodeCapacity
) -> dict[str, Any]:
    """What is shown alike of all nodes."""
    record = _record(view, node)
    drain = None
    if record.drain:
        mode: DrainMode = "requeue" if record.drain == "requeue" else "finish"
        deadline = stamp_or_none(record.drain_by_ms)
        drain = DrainView(mode, deadline, running_on(view, node))
    name = capacity.name or record.name or (session.name if session is not None else "")
    return {
        "id": node,
        "name": name,
        "state": session.state if session is not None else "starting",
        "since": stamp(session.since_ms) if session is not None else None,
        "labels": capacity.labels,
        "executors": sorted(capacity.executors),
        "slots_total": capacity.slots_total,
        "slots_free": capacity.slots_free,
        "cpu_milli_total": capacity.cpu_milli_total,
        "cpu_milli_free": capacity.cpu_milli_free,
        "memory_bytes_total": capacity.memory_total,
        "memory_bytes_free": capacity.memory_free,
        "cordoned": record.cordoned,
        "drain": drain,
    }


def _taken(heartbeat: Heartbeat | None) -> NodeCapacity:
    """Return what a node has that can be given nothing now: none of it is free."""
    if heartbeat is None:
        return _UNKNOWN
    return heartbeat.capacity._replace(slots_free=0, cpu_milli_free=0, memory_free=0)


def _told(conditions: tuple[str, ...]) -> list[Condition]:
    return [Condition(name, _CONDITIONS.get(name, name)) for name in conditions]
