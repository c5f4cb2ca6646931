"""Options of a user's actor: the little that its class doesn't say."""

from __future__ import annotations

from typing import Any

import msgspec

from actors import limits
from actors.errors import InvalidInput
from actors.model.ids import NAME_RE
from actors.runtime.remote.method import did_you_mean

__all__ = ["NAMESPACE", "Options"]

NAMESPACE = "default"


class Options(msgspec.Struct, frozen=True):
    """How an actor is made.

    `name`, `namespace`: under which `get_actor` finds it; "" for an actor without a name.
    `get_if_exists`: take the actor that has the name already instead of making one.
    `max_concurrency`: calls at once. `max_pending`: calls that may wait; more get MailboxFull.
    `max_restarts`: how often it is made anew after a crash; -1 for always.
    `max_task_retries`: how often a call that a crash interrupted is run again; -1 for always.
    """

    name: str = ""
    namespace: str = NAMESPACE
    get_if_exists: bool = False
    max_concurrency: int = 1
    max_restarts: int = 0
    max_task_retries: int = 0
    max_pending: int = limits.MAILBOX_MESSAGES

    def with_changes(self, changes: dict[str, Any]) -> Options:
        """Return other options. Raises TypeError for an unknown one, InvalidInput for a value."""
        for key, value in changes.items():
            if key not in self.__struct_fields__:
                near = did_you_mean(key, self.__struct_fields__)
                raise TypeError(f"no option {key!r} of an actor{near}")
            if type(value) is not type(getattr(self, key)):
                wanted = type(getattr(self, key)).__name__
                raise TypeError(f"option {key} is of type {wanted}, not {type(value).__name__}")
        changed = msgspec.structs.replace(self, **changes)
        changed._check()
        return changed

    def _check(self) -> None:
        for key in ("name", "namespace"):
            text = getattr(self, key)
            if text and not NAME_RE.fullmatch(text):
                raise InvalidInput(
                    f"{key} {text[:80]!r} is not a name",
                    remedy="A name has 1 to 63 of a-z, 0-9, '.', '_' and '-'.",
                )
        if not self.namespace:
            raise InvalidInput("namespace is empty")
        if self.get_if_exists and not self.name:
            raise InvalidInput("get_if_exists needs a name")
        for key, least in (
            ("max_concurrency", 1),
            ("max_restarts", -1),
            ("max_task_retries", -1),
            ("max_pending", 1),
        ):
            if getattr(self, key) < least:
                raise InvalidInput(f"{key} is at least {least}, not {getattr(self, key)}")
