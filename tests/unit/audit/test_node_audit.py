"""The node's end of the trail, on a real host with a real trail whose disk fills up."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from actors import addresses, limits
from actors.audit_trail import AuditTrail
from actors.backends.audit_log import AuditSegments
from actors.core.audit import AuditDraft
from actors.core.store.state import State
from actors.errors import Busy, ReadOnly
from actors.runtime import LoopHost
from jobd.api.audit import recorded
from jobd.node.audit import NodeAudit

Scenario = Callable[[NodeAudit, AuditSegments], Awaitable[None]]


def play(directory: Path, scenario: Scenario) -> None:
    async def scene() -> None:
        host = LoopHost(on_fatal=lambda reason, error: None)
        log = AuditSegments.open(directory / "audit")
        host.spawn(lambda: AuditTrail(log), addresses.AUDIT)
        audit = NodeAudit(host, State(), log, clock=host.clock)
        try:
            await scenario(audit, log)
        finally:
            await audit.close(2)
            await host.shutdown()

    asyncio.run(scene())


async def written(log: AuditSegments, n: int) -> None:
    async with asyncio.timeout(10):
        while log.head.n < n:
            await asyncio.sleep(0.01)


def draft(operation: str = "put_value", *, subject: str = "", outcome: str = "") -> AuditDraft:
    return AuditDraft(
        time_ms=7, operation=operation, decision="allowed", subject=subject, outcome=outcome
    )


def test_all_that_is_noted_is_written_in_order(tmp_path: Path) -> None:
    async def scenario(audit: NodeAudit, log: AuditSegments) -> None:
        for i in range(1200):
            audit.note(draft(subject=str(i)))
        await written(log, 1200)
        page = await audit.read(0, 500, lambda record: True)
        assert [record.subject for record in page.records] == [str(1199 - i) for i in range(500)]
        assert (await audit.verify(None)).problem == ""

    play(tmp_path, scenario)


def test_what_waits_is_written_at_the_end(tmp_path: Path) -> None:
    async def scenario(audit: NodeAudit, log: AuditSegments) -> None:
        audit.note(draft())
        for _ in range(7):
            audit.deny(draft("get_job", outcome="credential"))

    play(tmp_path, scenario)
    log = AuditSegments.open(tmp_path / "audit")
    found = log.read(0, 9, lambda record: True).records
    assert [(r.operation, r.count) for r in found] == [
        ("get_job", 6),
        ("get_job", 1),
        ("put_value", 1),
    ]
    log.close()


def test_a_full_disk_refuses_changes_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int, data: bytes, offset: int) -> int:
        raise OSError(28, "No space left on device")

    async def scenario(audit: NodeAudit, log: AuditSegments) -> None:
        with monkeypatch.context() as disk:
            disk.setattr(os, "pwrite", full)
            audit.note(draft("before"))
            async with asyncio.timeout(5):
                while not audit._failure:
                    await asyncio.sleep(0.01)
            with pytest.raises(ReadOnly, match="No space left"), recorded(audit, draft("change")):
                pytest.fail("it must not be done")
        await written(log, 1)
        with recorded(audit, draft("change")):
            pass
        await written(log, 2)
        page = await audit.read(0, 9, lambda record: True)
        assert [record.operation for record in page.records] == ["change", "before"]

    play(tmp_path, scenario)


def test_the_queue_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "AUDIT_QUEUE", 3)

    async def scenario(audit: NodeAudit, log: AuditSegments) -> None:
        for _ in range(3):
            audit.note(draft())
        with pytest.raises(Busy, match="AUDIT_QUEUE"):
            audit.admit()
        audit.deny(draft("get_job", outcome="credential"))
        await written(log, 3)
        audit.admit()
        assert log.head.n == 3, "a refusal without room is dropped"

    play(tmp_path, scenario)


def test_what_is_broken_off_is_unknown(tmp_path: Path) -> None:
    async def scenario(audit: NodeAudit, log: AuditSegments) -> None:
        with pytest.raises(asyncio.CancelledError), recorded(audit, draft()):
            raise asyncio.CancelledError
        await written(log, 1)
        page = await audit.read(0, 1, lambda record: True)
        assert page.records[0].outcome == "unknown"

    play(tmp_path, scenario)
