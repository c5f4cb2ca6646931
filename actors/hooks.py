"""The sender of hooks: events become deliveries, and deliveries are sent until they are taken.

The home of a hook puts its deliveries and sends them; `actors/core/trigger/deliveries.py` says what
is decided. What is under way is known here only, and the store knows what is owed: after a crash,
or at the next home, it is sent again with the same id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Final

import msgspec

from actors import limits
from actors.core.due import DueIndex
from actors.core.fetch_port import Outgoing, Received
from actors.core.peers import Peers
from actors.core.store.txn import Result, Txn
from actors.core.trigger import Sent, enqueue, sends_for, sent
from actors.core.view import Change, View
from actors.core.webhook.outgoing import outgoing
from actors.errors import JobdError
from actors.event_reader import EventReader
from actors.model import keys
from actors.model.event import Event, Place
from actors.runtime import After, Context, Effect, Effects, handles

__all__ = ["Answer", "Hooks"]

# A home that is up sends alone: an attempt takes long, and another one beside it is a second one.
_RANK_MS: Final = 60_000
_BUSY_S: Final = 1.0
_LONGEST_TIMER_S: Final = 60.0
_PER_TURN: Final = 64


class Answer(msgspec.Struct, frozen=True):
    """From the port: what came of an attempt."""

    system_lane: ClassVar[bool] = True
    key: str
    received: Received


class _SendMore(msgspec.Struct, frozen=True):
    pass


class Hooks(EventReader):
    """One per node. `post(key, outgoing)` sends; an `Answer` with the key follows."""

    kinds: ClassVar = ("hook/",)
    follows: ClassVar = ("hook", "delivery", "session")

    def __init__(
        self,
        view: View,
        peers: Peers,
        *,
        post: Callable[[str, Outgoing], None],
        open_secret: Callable[[str], str],
        source: Callable[[], str],
    ) -> None:
        super().__init__(view, peers)
        self._post = post
        self._open_secret = open_secret
        self._source = source
        self._due = DueIndex()
        self._sending: dict[str, int] = {}  # a delivery's key → when it began, monotonic ms
        self.outcomes: Counter[str] = Counter()

    # -- which events

    def watches(self, key: str, noun: Any) -> bool:
        """A hook that sends."""
        return noun.sends is not None and not noun.disabled

    def wants(self, key: str, record: Any, event: Event) -> bool:
        """Whether its types and its filter match."""
        return sends_for(keys.last(key), record, event)

    def act(self, key: str, matched: list[Event], upto: Place, now_ms: int) -> Txn | None:
        """Put deliveries, as many as there is room for."""
        return enqueue(self.view, keys.last(key), matched, upto, now_ms=now_ms)

    # -- what is owed

    def rescan(self) -> Effects:
        """Find all that is to be sent."""
        super().rescan()
        self._due = DueIndex()
        for key, _ in self.view.scan("delivery/"):
            self._take_delivery(key)
        return None

    def changed(self, change: Change) -> Effects:
        """Take a hook or a delivery in that has changed."""
        if change.key.startswith("delivery/"):
            self._take_delivery(change.key)
        elif change.key.startswith("hook/"):
            for key, _ in self.view.scan(keys.deliveries_of(keys.last(change.key))):
                self._take_delivery(key)
        return super().changed(change)

    def _take_delivery(self, key: str) -> None:
        self._due.set(key, self._due_at(key))

    def _due_at(self, key: str) -> int | None:
        entry = self.view.get(key)
        if entry is None or entry.noun.state != "pending" or key in self._sending:
            return None
        hook = self.view.get(keys.hook(keys.delivery_parts(key)[0]))
        if hook is None or hook.noun.sends is None or hook.noun.disabled:
            return None
        due_ms: int = entry.noun.due_ms
        return due_ms

    @property
    def pending(self) -> int:
        """How many deliveries are under way or wait for their time."""
        return len(self._due) + len(self._sending)

    # -- sending

    def decide(self) -> Iterator[Effect]:
        """Send what is due, then see to new events."""
        now_ms = self.clock.now_ms()
        yield from self._send_due(now_ms)
        yield from super().decide()
        next_ms = self._due.next_ms
        if next_ms is not None:
            pause_s = (next_ms - now_ms) / 1000 if next_ms > now_ms else _BUSY_S
            yield After(min(pause_s, _LONGEST_TIMER_S), _SendMore(), key="send")

    def _send_due(self, now_ms: int) -> Iterator[Effect]:
        each = Counter(keys.delivery_parts(key)[0] for key in self._sending)
        waiting = []
        for key in self._due.pop(now_ms, _PER_TURN):
            name = keys.delivery_parts(key)[0]
            rank = self._homes.rank(keys.hook(name))
            due_ms = self._due_at(key)
            if due_ms is None:
                continue
            turn_ms = due_ms + (rank or 0) * _RANK_MS
            if rank is None or not self._peers.in_contact:
                self._due.set(key, now_ms + _RANK_MS)
            elif turn_ms > now_ms:
                self._due.set(key, turn_ms)
            elif (
                self.undecided(key)
                or each[name] >= limits.HOOK_SENDS_EACH
                or len(self._sending) >= limits.HOOK_SENDS
            ):
                waiting.append((key, due_ms))  # until an answer makes room
            else:
                each[name] += 1
                yield from self._send(key, now_ms)
        for key, due_ms in waiting:
            self._due.set(key, due_ms)

    def _send(self, key: str, now_ms: int) -> Iterator[Effect]:
        entry, hook = self.view.get(key), self.view.get(keys.hook(keys.delivery_parts(key)[0]))
        assert entry is not None and hook is not None, "it is due"
        try:
            request = outgoing(
                key,
                hook.noun.sends,
                entry.noun,
                open_secret=self._open_secret,
                source=self._source(),
                now_s=now_ms // 1000,
            )
        except JobdError as error:
            yield from self._record(key, Sent(0, error.message, 0))
            return
        self._sending[key] = self._monotonic_ms()
        self._post(key, request)

    def _monotonic_ms(self) -> int:
        return int(self.clock.monotonic_s() * 1000)

    @handles(Answer)
    def answer(self, message: Answer, context: Context) -> Iterator[Effect]:
        """Record what came of an attempt."""
        began_ms = self._sending.pop(message.key, None)
        if began_ms is None:
            return
        took_ms = self._monotonic_ms() - began_ms
        result = Sent(message.received.status, message.received.detail, took_ms)
        yield from self._record(message.key, result)
        yield from self.decide()

    def _record(self, key: str, result: Sent) -> Iterator[Effect]:
        self.outcomes["delivered" if result.is_delivered else "failed"] += 1
        yield from self.submit(key, sent(self.view, key, result, now_ms=self.clock.now_ms()))

    def decided(self, entity: str, result: Result) -> Effects:
        """Take a delivery's time anew: the feed may have shown it before the answer came."""
        if entity.startswith("delivery/"):
            self._take_delivery(entity)
        return None

    def refused(self, entity: str) -> None:
        """Not ordered (the disk is full): it is sent again."""
        if entity.startswith("delivery/"):
            self._take_delivery(entity)

    @handles(_SendMore)
    def send_more(self, message: _SendMore, context: Context) -> Effects:
        """Some time has passed."""
        return self.decide()
