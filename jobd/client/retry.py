"""When an operation is sent again: only where that is safe, at the next address, after a pause.

1. What only looks, or has an idempotency key, may be sent again after any error that may pass; any
   other change only when it is known not to have been done.
2. A node that never answered this client is not waited for: when every address has failed once,
   that is the error. One that did is waited for until the deadline: it may be restarting.
3. A node that takes no writes, or lacks what only another has that is away, is not waited for
   either, but the next may do.
4. Between two rounds of all addresses there is a pause, random up to a bound that doubles.
5. Whoever gives up on an operation with a key that may have been done says so: OutcomeUnknown.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from actors.errors import (
    ActorUnavailable,
    AskTimeout,
    InFlight,
    JobdError,
    NodeUnreachable,
    OutcomeUnknown,
    ReadOnly,
)
from actors.model.ids import is_id
from jobd.client.address import GIVEN, Target
from jobd.client.operation import Operation

__all__ = ["TIMEOUT_S", "Nodes", "Retry"]

TIMEOUT_S: Final = 30.0  # of a call, unless the caller says otherwise
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0
_NOT_SOON: Final = (NodeUnreachable, ReadOnly)


class Nodes:
    """The nodes of a cluster: one address is used until it fails, then the next.

    Addresses that nobody named are looked for again, by `locate`, when one fails. Behind those that
    were named or found come the ones that a node told of.
    """

    def __init__(self, locate: Callable[[], Target]) -> None:
        self._locate = locate
        self._target = locate()
        self.reached = False  # whether any of them ever answered
        self._told: tuple[str, ...] = ()
        self._turn = 0

    @property
    def current(self) -> str:
        """The address to use."""
        return self._all[self._turn % self.count]

    @property
    def token(self) -> str:
        """The credential."""
        return self._target.token

    @property
    def count(self) -> int:
        """How many addresses there are."""
        return len(self._all)

    @property
    def _all(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self._target.addresses, *self._told)))

    @property
    def asks_for_others(self) -> bool:
        """Whether the node that answers first is to be asked for the others: it is the only one."""
        return not self.reached and self.count == 1

    def told(self, others: tuple[str, ...]) -> None:
        """Take where a node says that the others are."""
        self._told = others

    def failed(self, address: str) -> None:
        """Go on to the next address, unless another thread has done so already."""
        if self.current == address:
            self._turn += 1
            if self._target.source != GIVEN:
                self._look_again()

    def _look_again(self) -> None:
        with suppress(JobdError):  # it is away; it may come back
            found = self._locate()
            if found.source == self._target.source:
                self._target = found


class Retry:
    """One operation until its deadline."""

    def __init__(self, operation: Operation[Any], nodes: Nodes, timeout_s: float) -> None:
        self._operation = operation
        self._nodes = nodes
        self._timeout_s = timeout_s + operation.takes_s
        self.reset()

    def reset(self) -> None:
        """Begin anew: it has been answered, and goes on."""
        self._deadline = time.monotonic() + self._timeout_s
        self._failures = 0
        self._may_be_done = False

    @property
    def left_s(self) -> float:
        """The time that is left."""
        return max(0.0, self._deadline - time.monotonic())

    def after(self, error: JobdError, address: str) -> float:
        """Return the pause before it is sent again. Raises the error where it must not be."""
        self._failures += 1
        self._may_be_done |= _may_be_done(error)
        moves = error.retryable and not isinstance(error, InFlight)
        if moves:
            self._nodes.failed(address)
        pause_s = self._pause_s(moves)
        if not self._may_try(error) or pause_s > self.left_s:
            raise self._final(error)
        return pause_s

    def _may_try(self, error: JobdError) -> bool:
        if not error.retryable:
            return False
        if self._operation.again == "once" and _may_be_done(error):
            return False
        tried_all = self._failures >= self._nodes.count
        return not tried_all or (self._nodes.reached and not isinstance(error, _NOT_SOON))

    def _pause_s(self, moves: bool) -> float:
        rounds, rest = divmod(self._failures, self._nodes.count if moves else 1)
        if rest:
            return 0.0
        bound_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(rounds, 10))
        return random.uniform(0, bound_s)  # noqa: S311 - it only spreads the load

    def _final(self, error: JobdError) -> JobdError:
        key = self._operation.key
        if not (key and self._may_be_done and error.retryable):
            return error
        unknown = OutcomeUnknown(
            f"it may have been done: {error.message}",
            idempotency_key=key,
            job_id=key if is_id(key) else "",
            remedy="Send it again with this idempotency_key.",
        )
        unknown.__cause__ = error
        return unknown


def _may_be_done(error: JobdError) -> bool:
    if isinstance(error, ActorUnavailable):
        return error.maybe_executed
    return isinstance(error, AskTimeout | OutcomeUnknown)
