"""The actor runtime: Pykka actors on one event loop, in threads, or in a seeded simulation.

It knows nothing of jobs. Actors see `effects`, `actor` and `signals`; hosts run them.
"""

from __future__ import annotations

from actors.runtime.actor import Behaviour, Clock, Context, LoopActor, handles
from actors.runtime.cell import ActorRow
from actors.runtime.effects import (
    After,
    Ask,
    CancelTimer,
    Effect,
    Effects,
    Fail,
    Item,
    Reply,
    ReplyTo,
    Stop,
    Tell,
    Watch,
)
from actors.runtime.engine import Engine
from actors.runtime.faults import Faults
from actors.runtime.future import LoopFuture
from actors.runtime.host import LoopHost
from actors.runtime.invoke import Invoke
from actors.runtime.outlet import Outlet
from actors.runtime.principal import Principal
from actors.runtime.ref import ActorRef
from actors.runtime.signals import (
    Answered,
    Failed,
    Inspect,
    Ping,
    StreamClosed,
    StreamCredit,
    Terminated,
)
from actors.runtime.sim_host import SimHost
from actors.runtime.stream import Stream
from actors.runtime.thread_actor import ThreadActor

__all__ = [
    "ActorRef",
    "ActorRow",
    "After",
    "Answered",
    "Ask",
    "Behaviour",
    "CancelTimer",
    "Clock",
    "Context",
    "Effect",
    "Effects",
    "Engine",
    "Fail",
    "Failed",
    "Faults",
    "Inspect",
    "Invoke",
    "Item",
    "LoopActor",
    "LoopFuture",
    "LoopHost",
    "Outlet",
    "Ping",
    "Principal",
    "Reply",
    "ReplyTo",
    "SimHost",
    "Stop",
    "Stream",
    "StreamClosed",
    "StreamCredit",
    "Tell",
    "Terminated",
    "ThreadActor",
    "Watch",
    "handles",
]
