"""How nodes and their actors look on the wire."""

from __future__ import annotations

from typing import Literal

import msgspec

from jobd.api.stamp import Stamp

__all__ = ["ActorView", "Condition", "NodeView"]


class Condition(msgspec.Struct, frozen=True):
    """Something that keeps a node from all it could do: `read_only`, `not_ready`."""

    type: str
    message: str


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """A node. Totals and what is free of them, in the units of a job spec; times are RFC 3339.

    `state` is its session's: up, lost (the others have given it up) or left. `addresses` are by
    door: where each listens.
    """

    id: str
    name: str
    version: str
    incarnation: int
    state: Literal["starting", "up", "lost", "left"]
    since: Stamp | None
    uptime_s: float
    labels: dict[str, str]
    executors: list[str]
    slots_total: int
    slots_free: int
    cpu_milli_total: int
    cpu_milli_free: int
    memory_bytes_total: int
    memory_bytes_free: int
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
