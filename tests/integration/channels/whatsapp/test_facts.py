"""The loop that applies what needs no order."""

from __future__ import annotations

import asyncio

import pytest

from greenline.channels.whatsapp.facts import Facts
from greenline.clock import ManualClock
from greenline.store.pool import Pool
from greenline.store.wakeups import Wakeups
from support.wait import PATIENCE_SECONDS, eventually


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
    async with asyncio.timeout(PATIENCE_SECONDS) as patience:
        await facts.stop()
    assert not facts.running
    assert not patience.expired()


async def test_a_fact_that_cant_be_applied_holds_up_no_other(pool: Pool, dsn: str, clock: ManualClock) -> None:
    """Whatever its fault is: statuses of all numbers are behind it. An earlier version has kept such ones."""
    deep = '{"id":"wamid.1","status":"sent","pricing":' + '{"a":' * 600 + "1" + "}" * 600 + "}"
    for payload in (deep, '{"id":"wamid.2","status":"sent"}'):
        await pool.execute(
            "insert into inbox(dedupe, kind, payload, received_at) values ($1, 'status', $1::text::json, $2)",
            payload,
            clock.now(),
        )
    assert await Facts(pool, Wakeups(dsn), clock).apply_waiting() == 2
    rows = await pool.fetch("select error from inbox where done_at is not null order by id")
    assert [row["error"] and row["error"].split(":")[0] for row in rows] == ["RecursionError", None]
