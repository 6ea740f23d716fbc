"""Very many messages behind one number: each look reads a few, nobody is passed over, nobody waits for others."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

import asyncpg
import pytest

from greenline.channels.whatsapp.sender import HEADS
from greenline.clock import ManualClock
from greenline.settings import Settings
from greenline.store.mailbox import ring
from greenline.store.pool import Pool
from support.channel import Channel, running_channel
from support.rows import NUMBER, WORKSPACE
from support.wait import until

CHATS = 450
PACED = 150
"""Chats, the longest due, in which the rate of the pair makes everything wait."""
PACE = timedelta(minutes=2)

FILL = """
with chat as (
  insert into whatsapp_chat(id, workspace_id, phone_number_id, wa_id, last_user_message_at, pair_clock, created_at)
  select 'chat_' || n, $1, $2, '1555000' || lpad(n::text, 4, '0'), $3, case when n <= $5 then $4::timestamptz end, $3
  from generate_series(1, $6) n
  returning id, wa_id, phone_number_id
)
insert into outbox(id, workspace_id, phone_number_id, chat_id, kind, body, due_at, created_at)
select 'out_' || chat.wa_id || '_' || place, $1, chat.phone_number_id, chat.id, 'text',
  jsonb_build_object('type', 'text', 'text', jsonb_build_object('body', place::text)), $3, $3
from chat, generate_series(1, 2) place
order by place, chat.wa_id
"""


async def fill(pool: Pool, clock: ManualClock, *, paced: int = PACED) -> None:
    """Two messages wait in each chat."""
    now = clock.now()
    await pool.execute(FILL, WORKSPACE, NUMBER, now, now + PACE, paced, CHATS)
    await ring(pool, mailbox_id=f"sender:{NUMBER}", workspace_id=WORKSPACE, kind="sender", due_at=now)


def said(channel: Channel) -> dict[str, list[str]]:
    """What each person was told, in order."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for message in channel.meta.sent:
        found[message["to"]].append(message["text"]["body"])
    return found


async def sent(channel: Channel, count: int) -> None:
    """Let the time pass in which ``count`` messages leave at the number's rate; requests take none of it."""

    async def enough() -> bool:
        return len(channel.meta.sent) >= count

    await channel.pass_time(enough, step=0.05)


@pytest.fixture
def quick(settings: Settings) -> Settings:
    """A number of the highest throughput."""
    return settings.model_copy(update={"throughput_per_second": 1000, "pair_burst": 10})


async def test_everyone_is_told_everything_in_order(
    pool: Pool, dsn: str, clock: ManualClock, quick: Settings
) -> None:
    async with running_channel(pool, dsn, clock, quick) as channel:
        await fill(pool, clock, paced=0)
        await sent(channel, 2 * CHATS)
        assert list(said(channel).values()) == [["1", "2"]] * CHATS


async def test_those_who_must_wait_keep_nobody_from_view(
    pool: Pool, dsn: str, clock: ManualClock, quick: Settings
) -> None:
    async with running_channel(pool, dsn, clock, quick) as channel:
        await fill(pool, clock)
        begun = clock.now()
        await sent(channel, 2 * (CHATS - PACED))
        assert clock.now() < begun + PACE - timedelta(seconds=60)  # what the burst of ten leaves to wait for
        assert len(said(channel)) == CHATS - PACED
        clock.advance(PACE)
        await sent(channel, 2 * CHATS)
        assert list(said(channel).values()) == [["1", "2"]] * CHATS


async def test_a_number_that_is_given_back_in_full_use_rests_first(
    pool: Pool, dsn: str, clock: ManualClock, quick: Settings
) -> None:
    """Whoever takes it over doesn't know what left in the last second."""
    async with running_channel(pool, dsn, clock, quick) as channel:
        await fill(pool, clock, paced=0)
        await sent(channel, CHATS)
    assert await pool.fetchval("select owner is null and lease_until > now() from mailbox where kind = 'sender'")


@pytest.mark.parametrize(
    ("account_type", "level", "per_second"),
    [("coexistence", "STANDARD", 20), ("cloud_api", None, 80), ("cloud_api", "HIGH", 1000)],
)
async def test_a_number_sends_at_its_own_rate(
    channel: Channel, pool: Pool, clock: ManualClock, account_type: str, level: str | None, per_second: int
) -> None:
    await pool.execute("update whatsapp_account set account_type = $1, throughput_level = $2", account_type, level)
    moments = list[datetime]()
    channel.meta.refuse = lambda message: moments.append(clock.now())
    begun, count = clock.now(), min(2 * per_second, 2 * CHATS)
    await fill(pool, clock, paced=0)
    await sent(channel, count)
    longest = count * max(1.25 / per_second, 0.1)  # one after the other takes two steps of the test's clock each
    assert clock.now() - begun < timedelta(seconds=longest + 1)
    for moment in moments:
        assert sum(moment - timedelta(seconds=1) < other <= moment for other in moments) <= per_second


async def test_outcomes_that_are_waited_for_are_out_of_the_way(
    channel: Channel, pool: Pool, clock: ManualClock
) -> None:
    """After an outage very many are still open, and Meta may tell of them as late again as it was silent."""
    attempted, now = clock.now() - timedelta(seconds=200), clock.now()
    await channel.deliver("account_alerts", alert_type="NOTHING", entity_id="x")
    await pool.execute("update inbox set received_at = $1", now - timedelta(seconds=20))
    await pool.execute(FILL, WORKSPACE, NUMBER, now, now, 0, CHATS)
    await pool.execute("update outbox set state = 'unknown', attempt = 1, attempted_at = $1", attempted)
    await ring(pool, mailbox_id=f"sender:{NUMBER}", workspace_id=WORKSPACE, kind="sender", due_at=now)

    async def all_wait() -> bool:
        waiting = "select count(distinct chat_id) from outbox where state = 'unknown' and due_at > $1"
        return bool(await pool.fetchval(waiting, now) == CHATS)

    await until(all_wait)
    assert channel.meta.sent == []


async def test_a_look_reads_what_it_can_use(pool: Pool, dsn: str, clock: ManualClock, quick: Settings) -> None:
    """However many wait, and though its plan was made when nothing did, as after a start."""
    async with running_channel(pool, dsn, clock, quick):
        pass
    look = ("select count(*) from outbox_heads($1, $2, '{}', $3)", WORKSPACE, NUMBER, HEADS)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("set plan_cache_mode = force_generic_plan")
        assert await connection.fetchval(*look) == 0
        await fill(pool, clock)
        before = await fetched(connection)
        assert await connection.fetchval(*look) == HEADS
        assert await fetched(connection) - before == 2 * HEADS  # each of them, and that it is the first of its chat
    finally:
        await connection.close()


async def fetched(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    """Rows of the outbox that this connection has read so far."""
    await connection.execute("select pg_stat_force_next_flush()")
    read: int = await connection.fetchval(
        "select seq_tup_read + idx_tup_fetch from pg_stat_user_tables where relname = 'outbox'"
    )
    return read
