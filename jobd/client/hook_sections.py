"""`client.hooks` and `client.triggers`."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING

from jobd.api.hooks import DeliveryView, HookDetail, HookPut, HookView, Redelivered
from jobd.api.triggers import TriggerPut, TriggerView
from jobd.client import hook_operations as hooks
from jobd.client.hook_operations import Written

if TYPE_CHECKING:
    from jobd.client.calls import Calls

__all__ = ["Hooks", "Triggers"]


class Hooks:
    """What is sent or started when something happens."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def put(self, name: str, hook: Written, *, if_match: int | None = None) -> HookPut:
        """Put a hook: a mapping, YAML text or a path. Raises InvalidSpec, PreconditionFailed."""
        return self._client.call(hooks.put_hook(name, hook, if_match))

    def get(self, name: str) -> HookDetail:
        """Return a hook. Raises NotFound."""
        return self._client.call(hooks.get_hook(name))

    def delete(self, name: str, *, if_match: int | None = None) -> None:
        """Delete a hook with its deliveries. Raises NotFound, PreconditionFailed."""
        return self._client.call(hooks.delete_hook(name, if_match))

    def list(self) -> Generator[HookView, None, None]:
        """Yield the hooks by name."""
        return self._client.pages(hooks.list_hooks, None)

    def deliveries(self, name: str) -> Generator[DeliveryView, None, None]:
        """Yield what a hook has sent and is to send. Raises NotFound."""
        return self._client.pages(partial(hooks.list_deliveries, name), None)

    def redeliver(self, name: str, id_: str) -> Redelivered:
        """Have a delivery sent again, under its id. Raises NotFound, Conflict."""
        return self._client.call(hooks.redeliver(name, id_))


class Triggers:
    """What waits for events and for webhooks."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def put(self, name: str, trigger: Written, *, if_match: int | None = None) -> TriggerPut:
        """Put a trigger: a mapping, YAML text or a path. Raises InvalidSpec, Conflict."""
        return self._client.call(hooks.put_trigger(name, trigger, if_match))

    def get(self, name: str) -> TriggerView:
        """Return a trigger. Raises NotFound."""
        return self._client.call(hooks.get_trigger(name))

    def delete(self, name: str, *, if_match: int | None = None) -> None:
        """Delete a trigger with the template of what it starts. Raises NotFound."""
        return self._client.call(hooks.delete_trigger(name, if_match))

    def list(self) -> Generator[TriggerView, None, None]:
        """Yield the triggers by name."""
        return self._client.pages(hooks.list_triggers, None)
