"""The supervisor of a node's execution: agent, scheduler, slots and the link to the job supervisor.

They restart together: what one of them holds (a reservation, an attempt begun) the others rest on.
The agent then opens a new session, so no claim of the old one can commit any more, and everything
else is taken again from the state. Running jobs are not touched: the job supervisor holds them.
"""

from __future__ import annotations

from actors.runtime import LoopActor
from actors.runtime.actor import Strategy

__all__ = ["Execution"]


class Execution(LoopActor):
    """Parent of the actors that run attempts."""

    strategy: Strategy = "one_for_all"
