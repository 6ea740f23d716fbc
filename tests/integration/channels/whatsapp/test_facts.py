"""The loop that applies what needs no order."""

from __future__ import annotations

import asyncio

import pytest

from greenline.channels.whatsapp.facts import Facts
from greenline.clock import ManualClock
from greenline.store.pool import Pool
from greenline.store.wakeups import Wakeups
from support.wait import eventually


@pytest.mark.parametrize("steps", range(4))
async def test_it_stops_also_when_news_come_at_that_moment(
    pool: Pool, dsn: str, clock: ManualClock, steps: int
) -> None:
    """So many ``steps`` of the event loop after it was told of them."""
    wakeups = Wakeups(dsn)
    facts, wake = Facts(pool, wakeups, clock), wakeups.event("facts")
    facts.start()
    await eventually(lambda: wake._waiters)
    wake.set()
    for _ in range(steps):
        await asyncio.sleep(0)
    async with asyncio.timeout(5) as patience:
        await facts.stop()
    assert not facts.running
    assert not patience.expired()
