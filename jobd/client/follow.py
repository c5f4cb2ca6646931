"""Streams that go on: where one stands, so that it resumes at any node without loss."""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar

import msgspec

from jobd.api.events import EventView
from jobd.api.job_logs import LogLine
from jobd.api.message import ApiItem, ApiRequest
from jobd.client.operation import Operation

__all__ = ["Follow", "Gap", "follow_events", "follow_logs", "items_of"]

T = TypeVar("T")
_NOW: Final = 2**31  # behind every event of a revision


class Gap(msgspec.Struct, frozen=True):
    """Something of a stream is missing: `what` says from where to where.

    It was no longer kept, or its `node` can't be reached; what runs there is told once it can.
    """

    what: dict[str, Any]


class Follow(Generic[T]):
    """A stream and its place: the last id that was seen."""

    def __init__(
        self,
        operation: Operation[None],
        kinds: dict[str, type[T]],
        *,
        after: str = "",
        ends_with: str | None = None,
    ) -> None:
        self.operation = operation
        self.is_over = False
        self._kinds = kinds
        self._after = after
        self._ends_with = ends_with

    def request(self) -> ApiRequest:
        """Return what is to be asked to go on."""
        request: ApiRequest = self.operation.request
        if not self._after:
            return request
        headers = {**request.headers, "Last-Event-ID": self._after}
        return msgspec.structs.replace(request, headers=headers)

    def read(self, item: ApiItem) -> T | Gap | None:
        """Return what an item says, and stand behind it; None for one that only shows life."""
        self._after = item.id or self._after
        if item.event == self._ends_with:
            self.is_over = True
            return None
        if item.event in ("gap", "unreachable"):
            return Gap(msgspec.json.decode(item.data))
        kind = self._kinds.get(item.event)
        return None if kind is None else msgspec.json.decode(item.data, type=kind)


def follow_logs(operation: Operation[None], after: str = "") -> Follow[LogLine]:
    """Follow a job's log to its end."""
    return Follow(operation, {"log": LogLine}, after=after, ends_with="end")


def follow_events(
    operation: Operation[None], after: str | None, revision: int
) -> Follow[EventView]:
    """Follow events behind an id, or from a revision on.

    With a place from the beginning nothing is lost when the link breaks before the first event.
    """
    return Follow(operation, {"event": EventView}, after=after or f"{revision}-{_NOW}")


def items_of(value: Any) -> list[ApiItem]:
    """Return the items that came together."""
    return msgspec.convert(value, list[ApiItem])
