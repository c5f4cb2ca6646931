"""The joint between the API and the node for triggers, hooks and inbound webhooks.

`jobd/node/node_hooks.py` implements it over the store. Changes raise what writes do: NoQuorum,
OutcomeUnknown, Busy, ReadOnly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from actors.core.spec.hook import HookSpec
from actors.core.spec.trigger_document import TriggerSpec
from actors.model.spec import JobSpec

if TYPE_CHECKING:
    from jobd.api.gateway import RequestKey, Written

__all__ = ["HookGateway", "Taken"]


class Taken(NamedTuple):
    """What came of a webhook: `kind` says of what `made` is the id; "" is nothing (filtered)."""

    kind: str  # job, pipeline, event
    made: str
    name: str  # of the trigger
    revision: int
    replayed: bool
    wait_ms: int
    answer: str = ""  # to be given back as it is: a sender's test that this is its receiver


class HookGateway(Protocol):
    """What the API asks of the node about triggers and hooks."""

    async def put_trigger(
        self,
        name: str,
        spec: TriggerSpec,
        *,
        principal: str,
        if_match: int | None = None,
        if_none_match: bool = False,
    ) -> int:
        """Put a trigger. Raises Conflict, InvalidSpec, PreconditionFailed."""

    async def define_job(self, spec: JobSpec, *, principal: str, request: RequestKey) -> Written:
        """Make or change the trigger of a spec's name, with the template of its jobs, once.

        Raises Conflict, InvalidSpec, IdempotencyMismatch, InFlight.
        """

    async def delete_trigger(self, name: str, *, if_match: int | None = None) -> int:
        """Delete a trigger and its template. Raises NotFound, PreconditionFailed."""

    async def put_hook(
        self,
        spec: HookSpec,
        *,
        principal: str,
        if_match: int | None = None,
        if_none_match: bool = False,
    ) -> int:
        """Put a hook; one that was disabled begins with what happens next.

        Raises InvalidSpec, PreconditionFailed.
        """

    async def delete_hook(self, name: str, *, if_match: int | None = None) -> int:
        """Delete a hook with its deliveries. Raises NotFound, PreconditionFailed."""

    async def redeliver(self, name: str, revision: int, k: int) -> int:
        """Have a delivery sent again. Raises NotFound, Conflict (the hook is disabled)."""

    async def receive(self, path: str, headers: Mapping[str, str], body: bytes) -> Taken:
        """Prove a request, then start or emit what its trigger says, once for a delivery.

        Raises NotFound, Unauthenticated, InvalidInput, Conflict.
        """
