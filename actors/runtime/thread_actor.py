"""Thread actors: for what must block (fsync, sqlite, a Docker call), each on a thread of its own.

Mailbox, supervision and effects stay on the host's thread: the host hands over one piece of work
at a time (`on_start`, a message, `on_stop`) and gets its result posted back. So a thread actor has
the same order, bounds and failure rules as a loop actor, and a simulation runs it without threads.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pykka

from actors.runtime.actor import Behaviour
from actors.runtime.mailbox import Mailbox

__all__ = ["ThreadActor"]

if TYPE_CHECKING:

    class _PykkaThreadingActor:  # see actor.py
        actor_urn: str
        actor_inbox: Mailbox

        def _start_actor_loop(self) -> None: ...
else:
    _PykkaThreadingActor = pykka.ThreadingActor


class ThreadActor(Behaviour, _PykkaThreadingActor):
    """An actor whose handlers, `on_start` and `on_stop` may block."""

    blocks = True
    # A call that hangs must not keep the process from ending.
    use_daemon_thread = True
    _work: SimpleQueue[Callable[[], None] | None]

    def _start_actor_loop(self) -> None:
        self._work = SimpleQueue()
        super()._start_actor_loop()

    def _actor_loop(self) -> None:
        """Run what the host hands over, until it hands over None."""
        for work in iter(self._work.get, None):
            work()

    def hand_over(self, work: Callable[[], None] | None) -> None:
        """Queue work for the thread, which the first work starts; None ends the thread."""
        if not hasattr(self, "_work"):
            if work is None:
                return  # a simulation has no threads
            self._start_actor_loop()
        self._work.put(work)
