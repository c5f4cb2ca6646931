"""Triggers by name: defined, defined anew, deleted; and the paths that webhooks have.

Rules of this file:
T1  A name is one owner's: what a pipeline or a job's template owns is not put by the other.
T2  A path is one trigger's, by a key of its own, `webhook/<path>`.
T3  A trigger defined anew goes on from where it was; a new one begins with what happens next.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from actors import limits
from actors.core.store.txn import Check, Op, absent, at
from actors.core.view import View
from actors.errors import Busy, Conflict, NotFound
from actors.model import keys
from actors.model.codec import encode
from actors.model.event import EventDraft
from actors.model.trigger import TriggerRecord

__all__ = ["Change", "define_trigger", "next_place", "remove_hook", "remove_trigger"]

_LAST: Final = 1 << 30  # above every k of a revision


class Change(NamedTuple):
    """Part of a transaction, to be merged with the rest of it."""

    checks: tuple[Check, ...]
    ops: tuple[Op, ...]
    events: tuple[EventDraft, ...] = ()


def next_place(view: View) -> tuple[int, int]:
    """Return the place behind all that has happened."""
    return view.revision, _LAST


def define_trigger(view: View, name: str, record: TriggerRecord) -> Change:
    """Return what puts a trigger. Its place and its counts are those of the one that it replaces.

    Raises Conflict for a path or a name that is another's, Busy at TRIGGERS.
    """
    key, held = keys.trigger(name), view.get(keys.trigger(name))
    if held is None and view.count("trigger") >= limits.TRIGGERS:
        raise Busy(f"there are {limits.TRIGGERS} triggers already", remedy="delete some of them")
    before: TriggerRecord | None = held.noun if held is not None else None
    if before is not None and _kind(before) != _kind(record):
        raise Conflict(
            f"the trigger {name} is that of a {_kind(before)}, not of a {_kind(record)}",
            remedy="delete it first, or take another name",
        )
    checks: list[Check] = [at(key, held.revision) if held is not None else absent(key)]
    if record.target is not None and record.target.kind == "job":
        checks.append(_no_schedule(view, name))
    ops: list[Op] = []
    if before is not None:
        record = msgspec.structs.replace(
            record,
            created_ms=before.created_ms,
            fires=before.fires,
            refused=before.refused,
            last=before.last,
            last_ms=before.last_ms,
        )
    if record.events is not None:
        resumed = before is not None and before.events is not None
        after = before.after if resumed and before is not None else next_place(view)
        record = msgspec.structs.replace(record, after=after)
    old = before.webhook.path if before is not None and before.webhook is not None else None
    new = record.webhook.path if record.webhook is not None else None
    if old is not None and old != new:
        ops.append((keys.webhook(old), None))
    if new is not None:
        checks.append(_claim(view, name, new))
        ops.append((keys.webhook(new), encode(name)))
    return Change(tuple(checks), (*ops, (key, encode(record))))


def remove_trigger(view: View, name: str) -> Change:
    """Return what deletes a trigger, with its path and the template that is its own.

    Raises NotFound.
    """
    entry = view.get(keys.trigger(name))
    if entry is None:
        raise NotFound(f"there is no trigger {name}")
    record: TriggerRecord = entry.noun
    ops: list[Op] = [(keys.trigger(name), None)]
    if record.webhook is not None:
        ops.append((keys.webhook(record.webhook.path), None))
    if record.target is not None and record.target.kind == "job":
        ops.append((keys.template(record.target.name), None))
    return Change((at(keys.trigger(name), entry.revision),), tuple(ops))


def remove_hook(view: View, name: str) -> Change:
    """Return what deletes a hook, with its deliveries and the template that is its own.

    Raises NotFound.
    """
    entry = view.get(keys.hook(name))
    if entry is None:
        raise NotFound(f"there is no hook {name}")
    ops: list[Op] = [(key, None) for key, _ in view.scan(keys.deliveries_of(name))]
    target = entry.noun.target
    if target is not None and target.kind == "job":
        ops.append((keys.template(target.name), None))
    return Change((at(keys.hook(name), entry.revision),), ((keys.hook(name), None), *ops))


def _no_schedule(view: View, name: str) -> Check:
    """Hold that the template of this name is not that of a schedule's jobs."""
    if view.get(keys.schedule(name)) is not None:
        raise Conflict(
            f"{name} is a schedule", remedy="delete it first, or take another name for the job"
        )
    return absent(keys.schedule(name))


def _kind(record: TriggerRecord) -> str:
    """Who owns the name: a trigger by itself emits, the others start something."""
    return record.target.kind if record.target is not None else "trigger"


def _claim(view: View, name: str, path: str) -> Check:
    held = view.get(keys.webhook(path))
    if held is None:
        return absent(keys.webhook(path))
    if held.noun != name:
        raise Conflict(
            f"the path {path} belongs to the trigger {held.noun}", remedy="take another path"
        )
    return at(keys.webhook(path), held.revision)
