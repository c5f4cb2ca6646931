"""A slice of the wire's fuzz campaign (`scripts/fuzz wire`), and hostile messages one by one."""

from __future__ import annotations

import asyncio

from tests.security.fuzz_wire import Campaign, Report

_SLICE_S = 15.0
_GROWTH_MIB = 64


def test_no_message_crashes_hangs_or_stays() -> None:
    async def campaign() -> Report:
        return await Campaign(20_261_124).run(10_000_000, _SLICE_S)

    report = asyncio.run(campaign())
    assert report.executions > 10_000
    assert report.refused > report.executions // 10
    assert report.delivered > report.executions // 200
    assert report.grown_mib < _GROWTH_MIB
