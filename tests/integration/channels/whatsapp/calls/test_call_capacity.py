"""More calls than a process can hold: the business waits, people are rejected at once, other processes come first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from greenline.channels.limits import AgentAtLimit, AgentDailyLimit
from greenline.channels.whatsapp.calls.outbound import OutboundCall
from greenline.channels.whatsapp.calls.service import FULL_SECONDS, WAITING_ROOM
from greenline.clock import ManualClock
from greenline.settings import Settings
from greenline.store.pool import Pool
from support.calling import CallChannel, another_process, calling_channel, offer
from support.rows import NUMBER, WORKSPACE
from support.wait import eventually, until

LINES = 2


@pytest.fixture
def small(settings: Settings) -> Settings:
    """Settings of a process with two lines, of which one is kept for people who call."""
    return settings.model_copy(update={"call_drain_seconds": 0.0, "lease_seconds": 3.0, "call_capacity": LINES})


@pytest.fixture
async def channel(pool: Pool, dsn: str, clock: ManualClock, small: Settings) -> AsyncIterator[CallChannel]:
    async with calling_channel(pool, dsn, clock, small) as one:
        yield one


async def start(channel: CallChannel, number: int = 0) -> None:
    """The business calls somebody."""
    call = OutboundCall(NUMBER, f"1555200{number:04}", channel.agent_id, "may_we_call", "en")
    await channel.starter.start(WORKSPACE, call)


async def test_over_capacity_is_rejected_at_once_and_room_comes_back(channel: CallChannel) -> None:
    for number in range(3):
        await channel.ring(await offer(), f"wacid.{number}")
        if number < LINES:
            await channel.meta.action("pre_accept", number + 1)
    channel.clock.advance(timedelta(seconds=FULL_SECONDS))
    rejected = await channel.meta.action("reject")
    assert rejected["call_id"] == "wacid.2"
    for number in range(LINES):
        await channel.tell_call("terminate", f"wacid.{number}", status="COMPLETED")
    await channel.quiet()
    assert channel.calls.active == 0
    await channel.ring(await offer(), "wacid.3")
    await channel.meta.action("pre_accept", 3)
    await channel.tell_call("terminate", "wacid.3", status="COMPLETED")
    await channel.quiet()


async def test_many_calls_of_the_business_keep_nobody_from_being_answered_or_rejected(channel: CallChannel) -> None:
    many = LINES + WAITING_ROOM + 1
    for number in range(many):
        await start(channel, number)
    await channel.meta.action("connect")

    async def waiting() -> bool:
        due = "select count(*) from mailbox where kind = 'call' and owner is null and due_at > $1"
        return int(await channel.pool.fetchval(due, channel.clock.now())) == many - 1

    await until(waiting)
    assert channel.calls.active == 1
    await channel.ring(await offer(), "wacid.1")
    await channel.meta.action("pre_accept")
    await channel.ring(await offer(), "wacid.2")
    channel.clock.advance(timedelta(seconds=FULL_SECONDS))
    assert (await channel.meta.action("reject"))["call_id"] == "wacid.2"
    assert channel.meta.names().count("connect") == 1


async def test_a_call_of_the_business_that_waits_for_a_line_is_made_when_there_is_one(channel: CallChannel) -> None:
    await start(channel, 1)
    await channel.meta.action("connect")
    await start(channel, 2)

    async def bounced() -> bool:
        due = "select count(*) from mailbox where kind = 'call' and owner is null and due_at > $1"
        return int(await channel.pool.fetchval(due, channel.clock.now())) == 1

    await until(bounced)
    await channel.tell_status("REJECTED")
    await channel.acted("connect", 2, step=0.5)
    assert [body["to"] for body in channel.meta.actions] == ["+15552000001", "+15552000002"]


async def test_a_permission_that_comes_while_a_call_waits_for_a_line_is_used(channel: CallChannel) -> None:
    await start(channel, 1)
    await channel.meta.action("connect")
    await start(channel, 2)
    reply = {"type": "call_permission_reply", "call_permission_reply": {"response": "accept", "is_permanent": True}}
    await channel.hear("", person="15552000002", type="interactive", interactive=reply)
    await channel.tell_status("REJECTED")
    await channel.acted("connect", 2, step=0.5)

    async def made() -> Any:
        return await channel.pool.fetchrow("select * from whatsapp_call where wacid = 'wacid.OUT2'")

    row = await until(made)
    assert (row["permission_state"], row["permission_permanent"]) == ("accepted", True)
    assert len(channel.meta.queries) == 1, "Meta need not be asked"


async def test_a_full_process_leaves_new_calls_to_one_that_has_room(channel: CallChannel, dsn: str) -> None:
    for number in range(LINES):
        await channel.ring(await offer(), f"wacid.{number}")
        await channel.meta.action("pre_accept", number + 1)
    async with another_process(channel, dsn, call_capacity=100) as other:
        for number in range(10):
            await channel.ring(await offer(), f"wacid.more.{number}")
        await channel.meta.action("pre_accept", LINES + 10)
        assert (channel.calls.active, other.active) == (LINES, 10)
        assert "reject" not in channel.meta.names()


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        ({"agent_concurrency_limit": 1}, AgentAtLimit),
        ({"agent_concurrency_limit": -1, "daily_limit": 1}, AgentDailyLimit),
    ],
)
async def test_the_limits_of_an_agent_hold_for_calls_of_the_business(
    channel: CallChannel, limits: dict[str, int], error: type[Exception]
) -> None:
    await channel.pool.execute("update agent set shared = jsonb_build_object('call_limits', $1::jsonb)", limits)
    await start(channel, 1)
    await channel.pool.execute("update conversation set status = 'in-progress'")
    with pytest.raises(error):
        await start(channel, 2)
    assert len(await channel.conversations()) == 1
    await eventually(lambda: "connect" in channel.meta.names())
