"""Deliveries of hooks: each event to each receiver at least once, and what became of it.

Rules of this file:
L1  at(hook) and its record with the place moved, in the transaction that puts the deliveries: an
    event becomes one delivery of a hook, whichever node decides.
L2  A delivery is sent, then recorded under at(delivery). Who dies between the two leaves it to be
    sent again, with the same id: `webhook_id` is of hook and event, and of nothing else.
L3  At most HOOK_PENDING are under way: the place waits, and events wait in the event log.
L4  The ledger keeps the last HOOK_DELIVERIES_KEPT that have ended; the enqueuing drops the oldest.
L5  An answer of 410 disables its hook: the receiver is gone, and asks for nothing any more.
L6  What happens to a hook is not sent by that hook.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from actors import limits
from actors.core.job.work import brief
from actors.core.store.txn import Op, Txn, absent, at
from actors.core.view import View
from actors.model import keys
from actors.model.codec import encode
from actors.model.event import Event, EventDraft, Place, is_where, matches
from actors.model.hook import Delivery, HookRecord

__all__ = [
    "PER_TXN",
    "RETRIES_MS",
    "Sent",
    "enqueue",
    "redeliver",
    "room_of",
    "sends_for",
    "sent",
    "webhook_id",
]

PER_TXN: Final = 32
_S: Final = 1_000
_H: Final = 3_600 * _S
RETRIES_MS: Final = (5 * _S, 300 * _S, 1_800 * _S, 2 * _H, 5 * _H, 10 * _H, 10 * _H)
_GONE: Final = 410
_JSON: Final = msgspec.json.Encoder()


class Sent(NamedTuple):
    """What became of one attempt: the answer's status, or 0 and why there was none."""

    status: int
    detail: str
    took_ms: int

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has taken it."""
        return 200 <= self.status < 300


def webhook_id(key: str) -> str:
    """Return the id that a delivery is sent with, each time."""
    name, revision, k = keys.delivery_parts(key)
    return f"msg_{name}_{revision}-{k}"


def sends_for(name: str, record: HookRecord, event: Event) -> bool:
    """Say whether a hook sends an event."""
    if event.place <= record.after or event.subject == keys.hook(name):
        return False
    return matches(event, record.events.types, None) and is_where(event.data, record.events.where)


def room_of(view: View, name: str) -> int:
    """Return how many deliveries of a hook may be put yet (L3)."""
    pending = len([key for key, entry in _of(view, name) if entry.noun.state == "pending"])
    return max(0, limits.HOOK_PENDING - pending)


def enqueue(
    view: View, name: str, matched: Sequence[Event], upto: Place, *, now_ms: int
) -> Txn | None:
    """Return the transaction that puts deliveries of the first of these events.

    None when there is nothing to decide, or no room.
    """
    key, entry = keys.hook(name), view.get(keys.hook(name))
    if entry is None or entry.noun.sends is None or entry.noun.disabled:
        return None
    record: HookRecord = entry.noun
    fresh = [event for event in matched if event.place > record.after]
    taken = fresh[: min(PER_TXN, room_of(view, name))]
    if not taken:
        return None
    upto = upto if len(taken) == len(fresh) else taken[-1].place
    checks, ops = [at(key, entry.revision)], _pruned(view, name)
    size = 0
    for event in taken:
        place = keys.delivery(name, event.revision, event.k)
        checks.append(absent(place))
        kept, is_cut = _kept(event)
        made = encode(
            Delivery(event=kept, state="pending", created_ms=now_ms, due_ms=now_ms, is_cut=is_cut)
        )
        ops.append((place, made))
        size += len(made)
    assert size < limits.TXN_BYTES, "PER_TXN of them fit"
    moved = msgspec.structs.replace(
        record,
        after=max(upto, taken[-1].place),
        fires=record.fires + len(taken),
        last=taken[-1].id,
        last_ms=now_ms,
    )
    return Txn(tuple(checks), (*ops, (key, encode(moved))), now_ms=now_ms)


def sent(view: View, key: str, result: Sent, *, now_ms: int) -> Txn | None:
    """Return the transaction that records an attempt: delivered, to be tried again, or given up.

    None when the delivery is gone or was recorded by another.
    """
    entry = view.get(key)
    if entry is None or entry.noun.state != "pending":
        return None
    name = keys.delivery_parts(key)[0]
    tries = entry.noun.tries + 1
    record: Delivery = msgspec.structs.replace(
        entry.noun,
        attempts=entry.noun.attempts + 1,
        tries=tries,
        status=result.status,
        detail=brief(result.detail),
        last_ms=now_ms,
        took_ms=result.took_ms,
        due_ms=0,
    )
    checks, ops, events = [at(key, entry.revision)], [], []
    hook = view.get(keys.hook(name))
    if result.is_delivered:
        record = msgspec.structs.replace(record, state="delivered", detail="")
    elif result.status == _GONE and hook is not None:
        record = msgspec.structs.replace(record, state="failed")
        if not hook.noun.disabled:
            why = "its receiver answered 410 Gone"
            checks.append(at(keys.hook(name), hook.revision))
            disabled = msgspec.structs.replace(hook.noun, disabled=why)
            ops.append((keys.hook(name), encode(disabled)))
            events.append(_told("disabled", name, record, reason=why))
    elif tries > len(RETRIES_MS):
        record = msgspec.structs.replace(record, state="failed")
        events.append(_told("failed", name, record, attempts=record.attempts))
    else:
        record = msgspec.structs.replace(record, due_ms=now_ms + RETRIES_MS[tries - 1])
    return Txn(tuple(checks), (*ops, (key, encode(record))), tuple(events), now_ms=now_ms)


def redeliver(view: View, key: str, *, now_ms: int) -> Txn | None:
    """Return the transaction that has a delivery sent again, with its id; None when there is none.

    One that is under way is sent at once.
    """
    entry = view.get(key)
    if entry is None:
        return None
    again = msgspec.structs.replace(entry.noun, state="pending", due_ms=now_ms, tries=0)
    return Txn((at(key, entry.revision),), ((key, encode(again)),), now_ms=now_ms)


def _told(word: str, name: str, record: Delivery, **more: Any) -> EventDraft:
    data = {"name": name, "event": record.event.id, "status": record.status, **more}
    if record.detail:
        data["detail"] = record.detail
    return EventDraft(f"jobd:hook:{word}", keys.hook(name), data, record.event.trace)


def _kept(event: Event) -> tuple[Event, bool]:
    """Leave the data out that is too large, so that deliveries have a bound."""
    if len(_JSON.encode(event.data)) <= limits.HOOK_EVENT_BYTES:
        return event, False
    return msgspec.structs.replace(event, data={}), True


def _pruned(view: View, name: str) -> list[Op]:
    ended = [key for key, entry in _of(view, name) if entry.noun.state != "pending"]
    return [(key, None) for key in ended[: max(0, len(ended) - limits.HOOK_DELIVERIES_KEPT)]]


def _of(view: View, name: str) -> list[tuple[str, Any]]:
    return list(view.scan(keys.deliveries_of(name)))
