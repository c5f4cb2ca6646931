"""What events start: exactly one job or run for an event, whichever node decides, however often.

Rules of this file:
E1  at(trigger) and its record with the place moved over the events, in the transaction that starts
    what they start: one of two that decide the same commits, and what was passed is passed for all.
E2  The place only moves forward, over events that were all looked at. Where none of them matched,
    the record stays as it is until `mark` moves it: before retention drops what lies behind it.
E3  What can't start is said by an event (`jobd:trigger:refused`, one for a transaction), and
    passed.
E4  What happens to triggers starts nothing. A chain of causes passes one trigger CAUSE_REPEATS
    times and has its bound in `start`: a storm of a user's own making ends, and says so. The depth
    alone would not do: each job makes three events, and 3 to the 16th jobs are no end.
E5  Events that nobody has any more are a gap, and said (`jobd:trigger:gap`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from actors import limits
from actors.core.start import Refused, start
from actors.core.store.txn import Check, Op, Txn, at
from actors.core.view import View
from actors.model import keys
from actors.model.cause import Cause, CauseKind
from actors.model.codec import encode
from actors.model.event import (
    Event,
    EventDraft,
    Place,
    cause_of,
    event_id,
    is_where,
    matches,
    shown_event,
)
from actors.model.hook import HookRecord
from actors.model.trigger import TriggerRecord

__all__ = ["FIRES_PER_TXN", "Looked", "fire", "fires_for", "mark", "miss"]

FIRES_PER_TXN: Final = 16
_OPS: Final = limits.TXN_OPS // 2  # a transaction with as many starts no more
_OWN: Final = ("jobd:trigger:", "jobd:hook:")
_JSON: Final = msgspec.json.Encoder()

Record = TriggerRecord | HookRecord


class Looked(NamedTuple):
    """What came of a look at the events: those that match, and the place that it reached."""

    matched: Sequence[Event]
    upto: Place


def fires_for(record: Record, event: Event) -> bool:
    """Say whether an event is one that a trigger, or a hook that starts something, waits for."""
    source = record.events
    if source is None or event.place <= record.after or event.type.startswith(_OWN):
        return False
    return matches(event, source.types, None) and is_where(event.data, source.where)


def fire(
    view: View, key: str, looked: Looked, *, new_id: Callable[[], str], now_ms: int
) -> Txn | None:
    """Return the transaction that starts what the first of these events start.

    None when there is nothing to decide: the record is gone, disabled or past them.
    """
    entry = view.get(key)
    if entry is None or not _is_live(entry.noun):
        return None
    record: Record = entry.noun
    fresh = [event for event in looked.matched if event.place > record.after]
    if not fresh:
        return None
    firing = _Firing(view, key, record)
    taken = 0
    for event in fresh[:FIRES_PER_TXN]:
        if not firing.take(event, new_id(), now_ms):
            break
        taken += 1
    upto = looked.upto if taken == len(fresh) else fresh[taken - 1].place
    return firing.txn(at(key, entry.revision), max(upto, fresh[taken - 1].place), now_ms)


class _Firing:
    """One transaction in the making."""

    def __init__(self, view: View, key: str, record: Record) -> None:
        self._view = view
        self._key = key
        self._record = record
        self._checks: dict[Check, None] = {}
        self._ops: dict[str, Op] = {}
        self._events: list[EventDraft] = []
        self._refused: Counter[str] = Counter()
        self._refusal: tuple[Event, Refused] | None = None
        self._fires = 0
        self._last = ""

    def take(self, event: Event, new_id: str, now_ms: int) -> bool:
        """Start what an event starts; False when that has to be another transaction."""
        record = self._record
        assert record.target is not None, "events fire what starts something"
        behind = cause_of(event)
        via = (*behind.via, self._key) if behind is not None else (self._key,)
        if via.count(self._key) > limits.CAUSE_REPEATS:
            return self._refuse(event, Refused("loop", f"{self._key} is among its own causes"))
        kind: CauseKind = "hook" if isinstance(record, HookRecord) else "event"
        made = start(
            self._view,
            record.target,
            new_id=new_id,
            cause=Cause(kind, event.id, behind.depth + 1 if behind is not None else 0, via),
            given_input=_input(self._view, record, event),
            now_ms=now_ms,
            principal=record.principal,
            trace=event.trace,
        )
        if isinstance(made, Refused):
            return self._refuse(event, made)
        twice = any(key in self._ops for key, _ in made.ops)  # a key that both would put
        if twice or (self._ops and len(self._ops) + len(made.ops) > _OPS):
            return False
        self._checks.update(dict.fromkeys(made.checks))
        self._ops.update({op[0]: op for op in made.ops})
        self._events.extend(made.events)
        self._fires, self._last = self._fires + 1, new_id
        return True

    def _refuse(self, event: Event, why: Refused) -> bool:
        self._refused[why.reason] += 1
        self._refusal = self._refusal or (event, why)
        return True

    def txn(self, check: Check, upto: Place, now_ms: int) -> Txn:
        record, refused = self._record, self._refused.total()
        moved = msgspec.structs.replace(
            record,
            after=upto,
            fires=record.fires + self._fires,
            refused=record.refused + refused,
            last=self._last or record.last,
            last_ms=now_ms if self._fires else record.last_ms,
        )
        if self._refusal is not None:
            event, why = self._refusal
            data = {
                "event": event.id,
                "reason": why.reason,
                "detail": why.detail,
                "count": refused,
            }
            self._events.append(_told("refused", self._key, data, event.trace))
        checks = (check, *(each for each in self._checks if each[0] != self._key))
        ops = (*self._ops.values(), (self._key, encode(moved)))
        return Txn(checks, ops, tuple(self._events), now_ms=now_ms)


def mark(view: View, key: str, upto: Place, now_ms: int) -> Txn | None:
    """Return the transaction that only moves the place, over events that match nothing (E2)."""
    entry = view.get(key)
    if entry is None or upto <= entry.noun.after:
        return None
    moved = msgspec.structs.replace(entry.noun, after=upto)
    return Txn((at(key, entry.revision),), ((key, encode(moved)),), now_ms=now_ms)


def miss(view: View, key: str, floor: Place, now_ms: int) -> Txn | None:
    """Return the transaction that passes over events that nobody has any more, and says so."""
    txn = mark(view, key, floor, now_ms)
    if txn is None:
        return None
    entry = view.get(key)
    assert entry is not None, "it was there"
    data = {"after": event_id(*entry.noun.after), "upto": event_id(*floor)}
    return msgspec.structs.replace(txn, events=(_told("gap", key, data),))


def _is_live(record: Record) -> bool:
    return record.target is not None and not (
        isinstance(record, HookRecord) and record.disabled != ""
    )


def _told(word: str, key: str, data: dict[str, Any], trace: str = "") -> EventDraft:
    """An event about a trigger, or about a hook."""
    noun = keys.kind(key)
    return EventDraft(f"jobd:{noun}:{word}", key, {"name": keys.last(key), **data}, trace)


def _input(view: View, record: Record, event: Event) -> Any:
    """The target's own input, with the event beside it.

    The data of an event that is too large for a job is left out, and the event says so.
    """
    told = shown_event(event)
    if len(_JSON.encode(event.data)) > limits.EVENT_INPUT_BYTES:
        told |= {"data": {}, "data_is_cut": True}
    return beside(view, record, "event", told)


def beside(view: View, record: Record, name: str, value: Any) -> Any:
    """Return a target's own input with one value more in it; an input that is no mapping stays.

    A pipeline gets it if it has an input of that name.
    """
    target = record.target
    if target is not None and target.kind == "pipeline":
        from actors.core.dag import takes_input  # it reads specs, and those know triggers

        return {name: value} if takes_input(view, target.name, name) else None
    template = view.get(keys.template(target.name)) if target is not None else None
    own = template.noun.input if template is not None and template.noun.has_input else {}
    return {**own, name: value} if isinstance(own, dict) else own
