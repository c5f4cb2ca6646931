"""`client.hooks` and `client.triggers` of the asyncio client."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import TYPE_CHECKING

from jobd.api.hooks import DeliveryView, HookDetail, HookPut, HookView, Redelivered
from jobd.api.triggers import TriggerPut, TriggerView
from jobd.client import hook_operations as hooks
from jobd.client.hook_operations import Written

if TYPE_CHECKING:
    from jobd.client.async_calls import AsyncCalls

__all__ = ["AsyncHooks", "AsyncTriggers"]


class AsyncHooks:
    """What is sent or started when something happens."""

    def __init__(self, client: AsyncCalls) -> None:
        self._client = client

    async def put(self, name: str, hook: Written, *, if_match: int | None = None) -> HookPut:
        """Put a hook: a mapping, YAML text or a path. Raises InvalidSpec, PreconditionFailed."""
        return await self._client.call(hooks.put_hook(name, hook, if_match))

    async def get(self, name: str) -> HookDetail:
        """Return a hook. Raises NotFound."""
        return await self._client.call(hooks.get_hook(name))

    async def delete(self, name: str, *, if_match: int | None = None) -> None:
        """Delete a hook with its deliveries. Raises NotFound, PreconditionFailed."""
        return await self._client.call(hooks.delete_hook(name, if_match))

    def list(self) -> AsyncGenerator[HookView, None]:
        """Yield the hooks by name."""
        return self._client.pages(hooks.list_hooks, None)

    def deliveries(self, name: str) -> AsyncGenerator[DeliveryView, None]:
        """Yield what a hook has sent and is to send. Raises NotFound."""
        return self._client.pages(partial(hooks.list_deliveries, name), None)

    async def redeliver(self, name: str, id_: str) -> Redelivered:
        """Have a delivery sent again, under its id. Raises NotFound, Conflict."""
        return await self._client.call(hooks.redeliver(name, id_))


class AsyncTriggers:
    """What waits for events and for webhooks."""

    def __init__(self, client: AsyncCalls) -> None:
        self._client = client

    async def put(self, name: str, trigger: Written, *, if_match: int | None = None) -> TriggerPut:
        """Put a trigger: a mapping, YAML text or a path. Raises InvalidSpec, Conflict."""
        return await self._client.call(hooks.put_trigger(name, trigger, if_match))

    async def get(self, name: str) -> TriggerView:
        """Return a trigger. Raises NotFound."""
        return await self._client.call(hooks.get_trigger(name))

    async def delete(self, name: str, *, if_match: int | None = None) -> None:
        """Delete a trigger with the template of what it starts. Raises NotFound."""
        return await self._client.call(hooks.delete_trigger(name, if_match))

    def list(self) -> AsyncGenerator[TriggerView, None]:
        """Yield the triggers by name."""
        return self._client.pages(hooks.list_triggers, None)
