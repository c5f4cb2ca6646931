"""How a node without a vote has voters order its transactions and vouch for its reads.

Rules:
W1  A transaction goes to one voter at a time, to the next when that one is silent, always under
    the same (session, seq): the store's session table makes that once.
W2  An answer is passed on when the own state has come as far as the voter's was: who asked sees
    what he was told.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from actors import addresses
from actors.core.consensus.group import Read, Submit
from actors.core.store.txn import Result, Txn
from actors.runtime import After, Ask, Effect
from actors.runtime.address import SCHEME

__all__ = ["Forward", "ForwardAgain", "Forwarded", "Forwarding", "Judged", "at_node"]

_AGAIN_S: Final = 0.25
_SILENT_S: Final = 2.0


class Forward(msgspec.Struct, frozen=True):
    """To a voter: order this, which has its session already; or, with nothing, vouch for a read."""

    txn: Txn | None


class Judged(msgspec.Struct, frozen=True):
    """The answer: how it was judged, and how far the voter's state was then."""

    result: Result | None
    revision: int


class Forwarded(msgspec.Struct, frozen=True):
    """The tag of what was forwarded."""

    ticket: int


class ForwardAgain(msgspec.Struct, frozen=True):
    """Time to try again."""

    ticket: int


def at_node(node: str, address: str) -> str:
    """Return the address of a pinned actor on another node."""
    return f"{SCHEME}{node}{address}"


class Forwarding:
    """What is at voters, by ticket, and what waits for the own state."""

    def __init__(self) -> None:
        self._there: dict[int, Txn | None] = {}
        self._judged: dict[int, Judged] = {}
        self._tries = 0

    def begin(self, event: Submit | Read, voters: list[str]) -> Iterator[Effect]:
        """Forward a transaction or a read."""
        self._there[event.ticket] = event.txn if isinstance(event, Submit) else None
        yield from self._ask(event.ticket, voters)

    def again(self, ticket: int, voters: list[str]) -> Iterator[Effect]:
        """Try the next voter."""
        if ticket in self._there:
            self._tries += 1
            yield from self._ask(ticket, voters)

    def _ask(self, ticket: int, voters: list[str]) -> Iterator[Effect]:
        if not voters:
            yield self.later(ticket)
            return
        voter = voters[self._tries % len(voters)]
        message = Forward(self._there[ticket])
        yield Ask(
            at_node(voter, addresses.REPLICA), message, Forwarded(ticket), timeout_s=_SILENT_S
        )

    def later(self, ticket: int) -> Effect:
        """Return what tries again in a moment."""
        return After(_AGAIN_S, ForwardAgain(ticket), key=ForwardAgain(ticket))

    def judged(self, ticket: int, answer: Judged) -> None:
        """Keep an answer until the own state has come so far (W2)."""
        if self._there.pop(ticket, self) is not self:
            self._judged[ticket] = answer

    def shown(self, revision: int) -> list[tuple[int, Result | None]]:
        """Return what may be passed on at this revision of the own state."""
        shown = [t for t, answer in self._judged.items() if answer.revision <= revision]
        return [(ticket, self._judged.pop(ticket).result) for ticket in shown]
