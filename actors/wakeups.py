"""The actor that wakes whoever waits at a door: for a job, its log, a run, for any commit.

A waiter is woken when something of its subject may have changed, and then looks for itself: one
wake-up too many costs a look, none is lost, because a waiter registers before it looks.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from actors.core.view import Change, View
from actors.runtime import Context, Effects, handles
from actors.store_actor import StoreActor

__all__ = ["ANYTHING", "Grown", "Unwatch", "Wakeups", "Watch"]

ANYTHING = ""


class Watch(msgspec.Struct, frozen=True):
    """Call `wake` (on the loop) whenever this job or run may have changed; ANYTHING: the state."""

    job_id: str
    wake: Callable[[], None]


class Unwatch(msgspec.Struct, frozen=True):
    """No more of it."""

    job_id: str
    wake: Callable[[], None]


class Grown(msgspec.Struct, frozen=True):
    """The job log of this attempt has grown."""

    attempt: str


class Wakeups(StoreActor):
    """One per node."""

    mailbox_limit = 100_000

    def __init__(self, view: View) -> None:
        super().__init__(view)
        self._waiters: dict[str, set[Callable[[], None]]] = {}

    @handles(Watch)
    def watch(self, message: Watch, context: Context) -> Effects:
        """Register a waiter, and wake it once: it may have looked before it was registered."""
        self._waiters.setdefault(message.job_id, set()).add(message.wake)
        message.wake()
        return None

    @handles(Unwatch)
    def unwatch(self, message: Unwatch, context: Context) -> Effects:
        """Forget a waiter."""
        waiters = self._waiters.get(message.job_id)
        if waiters is not None:
            waiters.discard(message.wake)
            if not waiters:
                del self._waiters[message.job_id]
        return None

    @handles(Grown)
    def grown(self, message: Grown, context: Context) -> Effects:
        """Wake who follows the log of this attempt's job."""
        self._wake(message.attempt.split("/")[1])
        return None

    def rescan(self) -> None:
        """After a gap in the feed anything may have changed."""
        for subject in list(self._waiters):
            self._wake(subject)

    def changed(self, change: Change) -> Effects:
        """Wake who waits for the job or the run that this key belongs to."""
        kind, _, rest = change.key.partition("/")
        if kind in ("job", "task", "attempt", "output", "run", "step"):
            self._wake(rest.partition("/")[0])
        return None

    def decide(self) -> Effects:
        """Nothing is decided here; wake who waits for any commit."""
        self._wake(ANYTHING)
        return None

    def _wake(self, subject: str) -> None:
        for wake in self._waiters.get(subject, ()):
            wake()
