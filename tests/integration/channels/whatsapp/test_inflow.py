"""What came in lately is found in a large inbox that was never vacuumed, without reading it all."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from greenline.channels.whatsapp.delivery import sql
from greenline.channels.whatsapp.listening import LISTENS
from greenline.clock import ManualClock
from greenline.store.pool import Pool
from support.plans import rows_read
from support.rows import NUMBER, WORKSPACE, insert_workspace

ROWS = 20_000
SECOND = timedelta(seconds=1)


@pytest.fixture
async def now(pool: Pool, clock: ManualClock) -> datetime:
    """Ten messages came in a second, to ten chats of each of two numbers, until now."""
    await insert_workspace(pool, clock.now())
    await pool.execute(
        """insert into inbox(workspace_id, dedupe, mailbox_id, kind, payload, received_at)
           select $1, 'wamid.' || n, case n % 2 when 0 then $2 else '1' end || ':' || n % 20, 'message', '{}',
             $3::timestamptz - make_interval(secs => ($4 - n) * 0.1)
           from generate_series(1, $4) n""",
        WORKSPACE, NUMBER, clock.now(), ROWS,
    )  # fmt: skip
    await pool.execute("analyze inbox")  # the planner knew the rows of another test, if any: it would plan for them
    return clock.now()


async def test_messages_of_the_last_second_are_counted(pool: Pool, now: datetime) -> None:
    parameters = (WORKSPACE, NUMBER, now - SECOND)
    assert await pool.fetchval(sql["inbound"], *parameters) == 8  # two in the last quarter of it
    assert await rows_read(pool, "inbox", sql["inbound"], *parameters) < 100


async def test_a_server_whose_clock_is_slow_hides_no_message_of_another(pool: Pool, now: datetime) -> None:
    await pool.execute("update inbox set received_at = received_at - interval '2 seconds' where id = $1", ROWS)
    assert await pool.fetchval(sql["inbound"], WORKSPACE, NUMBER, now - SECOND) == 4


async def test_the_first_delivery_after_a_moment_is_found(pool: Pool, now: datetime) -> None:
    parameters = (now - 60 * SECOND, WORKSPACE, NUMBER, now - SECOND, LISTENS, "out_1")
    [found] = await pool.fetch(sql["signs"], *parameters)
    assert (found["heard"], found["cut_off"]) == (now - 59.9 * SECOND, False)
    assert await rows_read(pool, "inbox", sql["signs"], *parameters) < 1_000
