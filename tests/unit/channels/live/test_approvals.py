"""Calls of tools that wait for a person."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from greenline.channels.live.approvals import Approvals
from greenline.clock import ManualClock


async def test_the_time_for_an_approval_begins_with_the_question(clock: ManualClock) -> None:
    asked = asyncio.create_task(Approvals(clock).wait("call_1", 300))
    await asyncio.sleep(0)
    clock.advance(timedelta(seconds=300))
    for _ in range(5):
        await asyncio.sleep(0)
    assert asked.done()
    assert asked.result() is None
