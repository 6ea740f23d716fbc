"""A thousand calls leave nothing behind: no connection, task, socket, thread or file, and no memory to speak of."""

from __future__ import annotations

import asyncio

import pytest

from greenline.clock import ManualClock
from greenline.settings import Settings
from greenline.store.pool import Pool
from support.call_residue import assert_no_more, residue
from support.calling import CallChannel, calling_channel
from support.rtc_peer import RtcPeer
from support.wait import eventually, until

CALLS = 1000
ABREAST = 4


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_a_thousand_calls_leave_nothing_behind(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    settings = settings.model_copy(update={"call_drain_seconds": 0.0})
    async with calling_channel(pool, dsn, clock, settings) as channel:
        await abreast(channel, range(50))
        before = await residue(channel)
        await abreast(channel, range(50, CALLS))
        after = await residue(channel)
        assert await pool.fetchval("select count(*) from whatsapp_call where result = 'answered'") == CALLS
        assert_no_more(after, before, channel)


async def abreast(channel: CallChannel, numbers: range) -> None:
    lines = asyncio.Semaphore(ABREAST)

    async def one(number: int) -> None:
        async with lines:
            await call(channel, f"wacid.{number}", agent_ends=bool(number % 2))

    await asyncio.gather(*(one(number) for number in numbers))
    await channel.quiet()


async def call(channel: CallChannel, wacid: str, *, agent_ends: bool) -> None:
    """A call in which the person hears the agent, and one of them hangs up."""
    peer = RtcPeer()
    try:
        await channel.ring(await peer.offer(), wacid)
        await peer.apply_answer((await channel.meta.action("pre_accept", wacid=wacid))["session"]["sdp"])
        await channel.meta.action("accept", wacid=wacid)
        peer.out.open()
        await eventually(lambda: peer.heard)
        if agent_ends:
            held = "select conversation_id from whatsapp_call where wacid = $1"
            conversation_id = await channel.pool.fetchval(held, wacid)
            (voice,) = [voice for voice in channel.agents.voices if voice.conversation_id == conversation_id]
            voice.end("All was said.")
            await channel.meta.action("terminate", wacid=wacid)
        else:
            await channel.tell_call("terminate", wacid, status="COMPLETED", start_time="1", duration=1)

        async def over() -> bool:
            return bool(await channel.pool.fetchval("select result from whatsapp_call where wacid = $1", wacid))

        await until(over)
    finally:
        await peer.close()
