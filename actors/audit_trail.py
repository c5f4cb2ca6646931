"""The actor that writes the audit trail, in a thread of its own, off every hot path.

Order: a batch is written, then answered; what is written survives the process. It becomes durable
within SYNC_S: an fdatasync for each batch would slow the log of the store, on the same disk, down.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import msgspec

from actors.core.audit import AuditDraft
from actors.core.audit_port import AuditLog
from actors.errors import JobdError
from actors.runtime import After, Context, Effect, Effects, Fail, Reply, ThreadActor, handles

__all__ = ["AppendAudit", "AuditTrail"]

_SYNC_S: Final = 1.0
_PRUNE_EVERY_S: Final = 60.0


class AppendAudit(msgspec.Struct, frozen=True):
    """Write these records; answered with None once they are written."""

    drafts: tuple[AuditDraft, ...]


class _Sync(msgspec.Struct, frozen=True):
    pass


class _Prune(msgspec.Struct, frozen=True):
    pass


class AuditTrail(ThreadActor):
    """One per node."""

    def __init__(self, log: AuditLog) -> None:
        super().__init__()
        self._log = log
        self._syncs = False  # a sync is on its way

    def on_start(self) -> Effects:
        """Begin the rounds of retention."""
        return [After(_PRUNE_EVERY_S, _Prune(), key="prune")]

    @handles(AppendAudit)
    def append(self, message: AppendAudit, context: Context) -> Effects:
        """Write records; what asks keeps them until this is answered."""
        assert context.reply is not None, "AppendAudit is an ask"
        try:
            self._log.append(list(message.drafts))
        except JobdError as error:
            return [Fail(context.reply, error)]
        return [Reply(context.reply, None), *self._sync_soon()]

    def _sync_soon(self) -> list[Effect]:
        if self._syncs:
            return []
        self._syncs = True
        return [After(_SYNC_S, _Sync())]

    @handles(_Sync)
    def sync(self, message: _Sync, context: Context) -> Effects:
        """Make durable what was written since; when the disk refuses, in a moment."""
        self._syncs = False
        try:
            self._log.sync()
        except JobdError:
            return self._sync_soon()
        return None

    @handles(_Prune)
    def prune(self, message: _Prune, context: Context) -> Effects:
        """Drop the oldest segments past the limits."""
        with suppress(JobdError):  # the disk refuses: the next round does it
            self._log.prune(self.clock.now_ms())
        return [After(_PRUNE_EVERY_S, _Prune(), key="prune")]

    def on_stop(self) -> None:
        """Release the files."""
        with suppress(JobdError):  # what is not durable by now is written at least
            self._log.close()
