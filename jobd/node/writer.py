"""How a door writes: decide from the view, submit, decide again when it conflicts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from actors import addresses, limits
from actors.consensus_replica import SubmitTxn
from actors.core.store.txn import Committed, Stale, Txn
from actors.core.view import Entry
from actors.errors import ActorUnavailable, AskTimeout, Busy, Conflict, OutcomeUnknown
from actors.runtime import LoopHost

__all__ = ["Writer", "check_match"]

_SESSION_PAUSE_S: Final = 0.05


class Writer:
    """Submits a door's transactions and waits until they are durable."""

    def __init__(self, host: LoopHost) -> None:
        self._host = host

    async def write(self, decide: Callable[[], Any], *, key: str = "", job_id: str = "") -> Any:
        """Return the revision of what `decide` made of the view, or what else it returned.

        Raises Busy after RULES_RETRIES conflicts; OutcomeUnknown, naming `key` and `job_id`, when
        the answer did not come in time.
        """
        for _ in range(limits.RULES_RETRIES):
            txn = decide()
            if not isinstance(txn, Txn):
                return txn
            try:
                result = await self._host.ask(addresses.REPLICA, SubmitTxn(txn))
            except (AskTimeout, ActorUnavailable) as error:
                raise OutcomeUnknown(
                    "the write was not answered in time; it may still hold",
                    idempotency_key=key,
                    job_id=job_id,
                ) from error
            if isinstance(result, Committed):
                return result.revision
            if isinstance(result, Stale):
                await asyncio.sleep(_SESSION_PAUSE_S)  # the node is opening a new session
        raise Busy("the state changes too fast to decide", remedy="try again in a moment")


def check_match(entry: Entry | None, if_match: int | None) -> None:
    """Raise Conflict unless an entry is at the revision that the caller named."""
    if if_match is not None and (entry is None or entry.revision != if_match):
        now = f"at revision {entry.revision}" if entry is not None else "gone"
        raise Conflict(
            f"it is {now}, not at revision {if_match}", remedy="read it again, then decide"
        )
