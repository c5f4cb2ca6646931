"""How a door writes: decide from the view, submit, decide again when it conflicts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from actors import addresses, limits
from actors.core.store.txn import EXISTS, Committed, Stale, Txn
from actors.errors import (
    ActorUnavailable,
    AskTimeout,
    Busy,
    InFlight,
    OutcomeUnknown,
    PreconditionFailed,
)
from actors.replica_messages import ChangeEpoch, SubmitTxn
from actors.runtime import LoopHost
from actors.runtime.trace import CURRENT
from jobd.node.contact import Contact

__all__ = ["Writer", "check_match"]

_SESSION_PAUSE_S: Final = 0.05


class Writer:
    """Submits a door's transactions and waits until they are durable."""

    def __init__(self, host: LoopHost, contact: Contact) -> None:
        self._host = host
        self._contact = contact
        self._under_way: set[tuple[str, str]] = set()  # (owner, idempotency key)

    async def write(
        self,
        decide: Callable[[], Any],
        *,
        owner: str = "",
        key: str = "",
        job_id: str = "",
        frees: bool = False,
    ) -> Any:
        """Return the revision of what `decide` made of the view, or what else it returned.

        It makes a Txn, or a ChangeEpoch.
        `key` is the request's idempotency key and `owner` whose it is. Raises InFlight while an
        earlier request with it has no answer; Busy after RULES_RETRIES conflicts; OutcomeUnknown,
        naming `key` and `job_id`, when the answer did not come in time, which ends as soon as the
        node is cut off; NoQuorum when it was so before, and nothing was submitted; ReadOnly while
        the disk is full or, unless the write `frees` something, nearly so.
        """
        if not key:
            return await self._write(decide, key, job_id, frees)
        if (owner, key) in self._under_way:
            raise InFlight(f"the first request with the key {key} has no answer yet")
        self._under_way.add((owner, key))
        try:
            return await self._write(decide, key, job_id, frees)
        finally:
            self._under_way.discard((owner, key))

    async def _write(self, decide: Callable[[], Any], key: str, job_id: str, frees: bool) -> Any:
        for _ in range(limits.RULES_RETRIES):
            txn = decide()
            if not isinstance(txn, Txn | ChangeEpoch):
                return txn
            self._contact.check("the write was not submitted")
            try:
                message = SubmitTxn(txn, grows=not frees) if isinstance(txn, Txn) else txn
                asked = self._host.ask(addresses.REPLICA, message, trace=CURRENT.get())
                result = await self._contact.answer(asked)
            except (AskTimeout, ActorUnavailable) as error:
                raise OutcomeUnknown(
                    "the write was not answered in time; it may still hold",
                    idempotency_key=key,
                    job_id=job_id,
                    remedy="send it again with this idempotency key, here or to another node",
                ) from error
            if isinstance(result, Committed):
                return result.revision
            if isinstance(result, Stale):
                await asyncio.sleep(_SESSION_PAUSE_S)  # the node is opening a new session
        raise Busy("the state changes too fast to decide", remedy="try again in a moment")


def check_match(revision: int, if_match: int | None) -> None:
    """Raise PreconditionFailed unless an object is at the revision that the caller named.

    `revision` 0 is an object that is not there; `if_match` may be EXISTS: any revision will do.
    """
    if if_match is None or revision == if_match or (if_match == EXISTS and revision):
        return
    now = f"at revision {revision}" if revision else "not there"
    wanted = "to be there" if if_match == EXISTS else f"to be at revision {if_match}"
    raise PreconditionFailed(
        f"it is {now} and was {wanted}",
        revision=revision,
        remedy="read it again, then decide",
    )
