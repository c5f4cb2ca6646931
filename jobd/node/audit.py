"""The node's end of the audit trail: what doors record goes to its actor, batch by batch.

1. Recording never waits. What is recorded is kept here until it is written.
2. While the trail can't be written, because its disk is full or AUDIT_QUEUE records wait, changes
   are refused before they are made, as ReadOnly or Busy. Reads go on, and refusals are recorded as
   far as there is room. It resumes by itself.
3. A record is written when its change has its outcome: a node that is killed in between loses what
   it had not written yet, some milliseconds of records. The change itself is in the store.
4. After a disk that did not answer for ASK_TIMEOUT_S a batch may be there twice, never not at all.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Final

from msgspec.structs import replace

from actors import addresses, limits
from actors.audit_trail import AppendAudit
from actors.core.audit import WINDOW_MS, AuditDraft, AuditRecord, Head, Refusals, Verdict
from actors.core.audit_port import AuditLog, AuditPage
from actors.core.view import View
from actors.errors import Busy, JobdError, ReadOnly
from actors.model import keys
from actors.runtime import Clock, LoopHost

__all__ = ["NodeAudit"]

_log: Final = logging.getLogger(__name__)
_BATCH: Final = 500
_AGAIN_S: Final = 1.0


class NodeAudit:
    """Implements jobd.api.audit.Audit, on the node's loop."""

    def __init__(self, host: LoopHost, view: View, log: AuditLog, *, clock: Clock) -> None:
        self._host = host
        self._view = view
        self._log = log
        self._clock = clock
        self._waiting: deque[AuditDraft] = deque()
        self._refusals = Refusals()
        self._failure = ""  # why the last batch was not written
        self._writing: asyncio.Task[None] | None = None
        self._window: asyncio.TimerHandle | None = None

    def admit(self) -> None:
        """Let a change pass that can be recorded. Raises ReadOnly, Busy."""
        if self._failure:
            raise ReadOnly(
                f"the audit trail can't be written: {self._failure}",
                remedy="make room on the disk of the data directory; writes go on by themselves",
            )
        if len(self._waiting) >= limits.AUDIT_QUEUE:
            raise Busy(f"{limits.AUDIT_QUEUE} records wait for the audit trail (AUDIT_QUEUE)")

    def note(self, draft: AuditDraft) -> None:
        """Record what was done, or what it failed with."""
        entry = self._view.get(keys.token(draft.actor)) if draft.actor else None
        name = entry.noun.name if entry is not None else ""
        self._waiting.append(replace(draft, name=name))
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write())

    def deny(self, draft: AuditDraft) -> None:
        """Record a refusal; repeats are counted, and dropped where there is no room."""
        self._note_refusals(self._refusals.take(draft))
        if self._window is None:
            self._end_window_later()

    def own(self, operation: str, subject: str) -> AuditDraft:
        """Return the draft of what the node does by itself."""
        return AuditDraft(
            time_ms=self._clock.now_ms(),
            operation=operation,
            decision="allowed",
            outcome="ok",
            actor="node",
            subject=subject,
            door="node",
        )

    def _note_refusals(self, drafts: list[AuditDraft]) -> None:
        for draft in drafts:
            if len(self._waiting) < limits.AUDIT_QUEUE:
                self.note(draft)

    def _end_window_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._window = loop.call_later(WINDOW_MS / 1000, self._end_window)

    def _end_window(self) -> None:
        self._window = None
        self._note_refusals(self._refusals.end(self._clock.now_ms()))
        if self._refusals.is_open:
            self._end_window_later()

    async def _write(self) -> None:
        """Hand over what waits; what comes meanwhile is the next batch."""
        while self._waiting:
            batch = tuple(islice(self._waiting, _BATCH))
            try:
                await self._host.ask(addresses.AUDIT, AppendAudit(batch))
            except JobdError as error:
                if not self._failure:
                    _log.error("the audit trail can't be written: %s", error.message)
                self._failure = error.message
                await asyncio.sleep(_AGAIN_S)
                continue
            self._failure = ""
            for _ in batch:
                self._waiting.popleft()
        self._writing = None

    async def close(self, within_s: float) -> None:
        """Write what waits, if that takes no longer."""
        if self._window is not None:
            self._window.cancel()
        self._note_refusals(self._refusals.end(self._clock.now_ms() + WINDOW_MS))
        if self._writing is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._writing, within_s)

    # -- reads: of files, so not on the loop

    async def read(
        self, before: int, limit: int, wanted: Callable[[AuditRecord], bool]
    ) -> AuditPage:
        """Return wanted records with numbers below `before` (0: all), the newest first."""
        return await asyncio.to_thread(self._log.read, before, limit, wanted)

    async def verify(self, kept: Head | None) -> Verdict:
        """Walk over the whole chain; `kept` is a head that was noted elsewhere."""
        return await asyncio.to_thread(self._log.verify, kept)
