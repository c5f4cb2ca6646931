"""Planted bugs: each leaves out one thing that the rules ask for, and an invariant sees it.

None is a branch of the product. A bug is a cut in the transactions that its decisions return, a
patch of a decision or of the store's session tables, or another behaviour of the model's node or
host (`flags`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from actors.core import job as jobs
from actors.core.store.sessions import SessionTables
from actors.core.store.txn import ABSENT, Conflict, Result, SessionRef, Txn
from actors.core.view import View
from actors.model import keys
from actors.model.codec import decode, encode

__all__ = ["BUGS", "NONE", "NOT_SEEN", "Bug"]

Cut = Callable[[Txn], Txn]
Action = Callable[[View, str, "jobs.Held | None", jobs.SlotAction], jobs.SlotAction]


class Bug(NamedTuple):
    """What is left out, and the means by which it is."""

    name: str = ""
    what: str = ""
    cuts: dict[str, Cut] = {}  # by the kind of a transaction
    flags: frozenset[str] = frozenset()
    slot: Action | None = None
    tables: type[SessionTables] | None = None
    after_attempt: Any = None

    def cut(self, kind: str, txn: Txn) -> Txn:
        cut = self.cuts.get(kind)
        return cut(txn) if cut is not None else txn

    def action(
        self, view: View, key: str, held: jobs.Held | None, action: jobs.SlotAction
    ) -> jobs.SlotAction:
        return action if self.slot is None else self.slot(view, key, held, action)


NONE = Bug()


# -- cuts


def _without(*prefixes: str) -> Cut:
    """Drop the checks of these kinds of keys."""

    def cut(txn: Txn) -> Txn:
        checks = tuple(check for check in txn.checks if not check[0].startswith(prefixes))
        return msgspec.structs.replace(txn, checks=checks)

    return cut


def _without_members(txn: Txn) -> Txn:
    """Drop absent(each new member)."""
    checks = tuple(
        (key, at) for key, at in txn.checks if not (key.startswith("task/") and at == ABSENT)
    )
    return msgspec.structs.replace(txn, checks=checks)


def _without_record(txn: Txn) -> Txn:
    """Drop at(job), or for a task at(task), but not a task's at(job)."""
    task = any(key.startswith("task/") for key, _ in txn.checks)
    return _without("task/" if task else "job/")(txn)


def _without_parent(txn: Txn) -> Txn:
    task = any(key.startswith("task/") for key, _ in txn.checks)
    return _without("job/")(txn) if task else txn


def _requeued(txn: Txn) -> tuple[str, Any] | None:
    """The record that this transaction puts back to pending, if it does."""
    for key, value in txn.ops:
        kind = keys.kind(key)
        if kind in ("job", "task") and value is not None:
            record = decode(kind, value)
            return (key, record) if record.state == "pending" else None
    return None


def _number_back(txn: Txn) -> Txn:
    found = _requeued(txn)
    if found is None:
        return txn
    key, record = found
    value = encode(msgspec.structs.replace(record, n=record.n - 1))
    return msgspec.structs.replace(
        txn, ops=tuple((k, value if k == key else v) for k, v in txn.ops)
    )


def _keep_permits(txn: Txn) -> Txn:
    if _requeued(txn) is None:
        return txn
    kept = tuple((key, value) for key, value in txn.ops if not key.startswith("permit/"))
    return msgspec.structs.replace(txn, ops=kept)


def _split_hour(txn: Txn) -> Txn:
    """Delete the fine keys without their hour's."""
    gone = tuple((key, value) for key, value in txn.ops if value is None)
    return msgspec.structs.replace(txn, ops=gone)


def _ends(cut: Cut) -> dict[str, Cut]:
    return {"finish": cut, "lost": cut}


# -- other patches


def _forgetful(real: Any, work: Any, summary: Any, **times: Any) -> Any:
    """Decide what follows an attempt as if no stop were asked for."""
    unasked = msgspec.structs.replace(work.job, cancel_ms=0, stop=False)
    return real(work._replace(job=unasked), summary, **times)


def _not_started(view: View, key: str, held: Any, action: Any) -> Any:
    return jobs.Leave() if isinstance(action, jobs.Start) else action


def _lost_left(view: View, key: str, held: Any, action: Any) -> Any:
    return jobs.Leave() if isinstance(action, jobs.ReportLost) else action


def _cancel_untold(view: View, key: str, held: Any, action: Any) -> Any:
    if isinstance(action, jobs.Kill) and held is None:
        return jobs.Finish(jobs.Ending("cancelled", "killed"))
    return action


class _NoStale(SessionTables):
    """A transaction of an ended session is judged by its checks; each session has its table."""

    def recall(self, ref: SessionRef, current: int) -> Result | None:
        return super().recall(_of_session(ref), ref.number)

    def remember(self, ref: SessionRef, result: Result) -> None:
        super().remember(_of_session(ref), result)


def _of_session(ref: SessionRef) -> SessionRef:
    return msgspec.structs.replace(ref, node=f"{ref.node}/{ref.number}")


class _NoConflicts(SessionTables):
    def remember(self, ref: SessionRef, result: Result) -> None:
        if not isinstance(result, Conflict):
            super().remember(ref, result)


class _NoFloor(SessionTables):
    def recall(self, ref: SessionRef, current: int) -> Result | None:
        answer = super().recall(ref, current)
        table = self._tables.get(ref.node)
        forgotten = table is not None and ref.seq < table.below
        return None if forgotten and ref.number == current else answer


def _flag(name: str, what: str) -> Bug:
    return Bug(name, what, flags=frozenset((name,)))


_NO_SESSION = {"claim": _without("session/")}
_NO_BUCKET = {kind: _without("closed/") for kind in ("accept", "claim")}

_ALL = (
    Bug("claim_no_at_session", "claim without at(session)", _NO_SESSION),
    Bug("no_stale", "the store judges a transaction of an ended session", tables=_NoStale),
    Bug("claim_no_at_session+no_stale", "both of the above", _NO_SESSION, tables=_NoStale),
    Bug("claim_no_at_job", "claim without at(job or task)", {"claim": _without_record}),
    Bug("claim_no_absent", "claim without absent(attempt)", {"claim": _without("attempt/")}),
    Bug("n_reused", "a requeue gives the attempt number back", _ends(_number_back)),
    Bug("claim_no_at_parent", "claim of a task without at(job)", {"claim": _without_parent}),
    _flag("finish_no_fence", "finish at(job) only, under whatever attempt runs now"),
    Bug("finish_no_at_job", "finish at(attempt) only", _ends(_without("job/", "task/"))),
    Bug("permits_kept", "requeue does not free the permits", _ends(_keep_permits)),
    Bug("permit_no_absent", "claim without absent(permit)", {"claim": _without("permit/")}),
    _flag("loss_one_shot", "a loss is handled once, by its proposer, on the reply"),
    _flag("loss_hearsay", "attempts are requeued without the lost session record"),
    Bug("loss_no_at_session", "loss without at(session, lost)", {"lost": _without("session/")}),
    _flag("spawn_first", "the supervisor spawns, then registers"),
    _flag("list_before_session", "store and supervisor compared before the own session is applied"),
    _flag("ack_on_reply", "ack on the reply, before the feed shows the finish"),
    _flag("start_twice", "the supervisor does not know a repeated start"),
    _flag("old_hello", "the supervisor takes frames of an earlier node process after hello"),
    Bug("conflict_forgotten", "the session table does not remember Conflict", tables=_NoConflicts),
    Bug("no_floor", "a seq below done_below is judged again", tables=_NoFloor),
    Bug(
        "no_floor+bucket_unchecked",
        "ditto, and accept without its buckets",
        _NO_BUCKET,
        tables=_NoFloor,
    ),
    _flag("inc_not_durable", "a new session without reboot has an incarnation that is not durable"),
    _flag("no_resession", "a node found lost by mistake takes no new session"),
    Bug("members_unchecked", "members without absent(member)", {"tasks": _without_members}),
    Bug("parent_unchecked", "a fan-out is changed without at(job)", {"tasks": _without("job/")}),
    Bug("cancel_forgotten", "retry and requeue ignore a requested stop", after_attempt=_forgetful),
    Bug("never_spawned_ignored", "known to the store only: not started", slot=_not_started),
    Bug("sup_lost_ignored", "attempts of a dead supervisor are left to others", slot=_lost_left),
    _flag("orphans_left", "reported lost while the dead supervisor's processes run"),
    _flag("reserve_dropped", "a reservation is dropped while its claim is undecided"),
    Bug("cancel_unspawned", "a cancel ends an unknown attempt untold", slot=_cancel_untold),
    Bug("bucket_unchecked", "accept without absent(closed/...)", _NO_BUCKET),
    Bug("hour_split", "fine keys are deleted without their hour's", {"compact": _split_hour}),
    Bug(
        "due_no_at_job", "a timer fires without at(job or task)", {"due": _without("job/", "task/")}
    ),
    Bug(
        "late_unchecked",
        "a late result without at(job or task)",
        {"late": _without("job/", "task/")},
    ),
    Bug("any_loss_any_time", "a loss without at(session)", {"session-lost": _without("session/")}),
)
BUGS = {bug.name: bug for bug in _ALL}

# left out without harm, and why; the rules keep them: they are free and guard n and the session
NOT_SEEN = {
    "claim_no_at_session": "Stale says the same",
    "no_stale": "what matters names a revision that never recurs, or at(session)",
    "claim_no_absent": "at(job) with a number that never goes back says the same",
}
