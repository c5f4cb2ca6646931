"""How nodes and their actors look on the wire."""

from __future__ import annotations

from typing import Literal

import msgspec

from jobd.api.stamp import Stamp

__all__ = ["ActorView", "Condition", "DrainMode", "DrainView", "NodeView"]

DrainMode = Literal["finish", "requeue"]


class Condition(msgspec.Struct, frozen=True):
    """Something that keeps a node from all it could do.

    `read_only`, `not_ready`, `isolated`, `clock_skew`, `upgrade_needed`.
    """

    type: str
    message: str


class DrainView(msgspec.Struct, frozen=True):
    """A drain under way: `finish` lets what runs end, `requeue` has it start elsewhere.

    At its deadline what still runs is requeued; without one it may take its time. `running` counts
    the attempts that are still there: at 0 the node is drained, until it is uncordoned.
    """

    mode: DrainMode
    deadline: Stamp | None
    running: int


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """A node. Totals and what is free of them, in the units of a job spec; times are RFC 3339.

    `state` is its session's: up, lost (the others have given it up) or left. `heard_ms` is how long
    ago the node that answers heard of it, null when it has not since it began. What a node says of
    itself (`version`, labels, executors, totals) is as of then, and empty or 0 before. `executed`
    is how many commands it has executed. `addresses` are by door: where each listens.
    """

    id: str
    name: str
    version: str
    role: Literal["voter", "worker"]
    incarnation: int
    state: Literal["starting", "up", "lost", "left"]
    since: Stamp | None
    uptime_s: float | None
    heard_ms: int | None
    labels: dict[str, str]
    executors: list[str]
    slots_total: int
    slots_free: int
    cpu_milli_total: int
    cpu_milli_free: int
    memory_bytes_total: int
    memory_bytes_free: int
    cordoned: bool
    drain: DrainView | None
    executed: int
    conditions: list[Condition]
    addresses: dict[str, str]


class ActorView(msgspec.Struct, frozen=True, kw_only=True):
    """A live actor: `rate` is messages per second since the node was asked before.

    `handler_s` is the time it spent in handlers since the node began, `last_error` why it last
    restarted.
    """

    address: str
    parent: str | None
    class_: str = msgspec.field(name="class")
    state: str
    mailbox: int
    handled: int
    rate: float
    handler_s: float
    restarts: int
    last_error: str | None
