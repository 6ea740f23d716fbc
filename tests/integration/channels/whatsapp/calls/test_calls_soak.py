"""A thousand calls leave nothing behind: no connection, task, socket, thread or file, and no memory to speak of."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from greenline.channels.webrtc.media import MediaCall
from greenline.clock import ManualClock
from greenline.settings import Settings
from greenline.store.pool import Pool
from support.calling import CallChannel, calling_channel
from support.residue import open_files, threads
from support.rtc_peer import RtcPeer
from support.wait import eventually, until

CALLS = 1000
ABREAST = 4
LARGEST_GROWTH_KB = 30_000
"""Of 1,000 calls: 30 kB each would still be a leak that shows within a day; caches and the heap's slack are below."""


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
    assert after.pop("kb") - before.pop("kb") < LARGEST_GROWTH_KB
    assert after.pop("files") - before.pop("files") <= settings.database_connections, "the pool may have grown"
    assert not Counter(after.pop("tasks")) - Counter(before.pop("tasks")), "those of a worker come and go"
    assert after == before


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


async def residue(channel: CallChannel) -> dict[str, Any]:
    """What the process holds."""
    channel.meta.actions.clear()
    channel.agents.voices.clear()
    await channel.quiet()
    for _ in range(3):
        gc.collect()
        await asyncio.sleep(0)
    return {
        "tasks": [task.get_coro().__qualname__ for task in asyncio.all_tasks() if of_ours(task)],
        "threads": threads(),
        "files": open_files(),
        "media": sum(isinstance(thing, MediaCall) for thing in gc.get_objects()),
        "active": channel.calls.active,
        "kb": resident_kb(),
    }


def of_ours(task: asyncio.Task[Any]) -> bool:
    """Whether a task is the server's or its media's; those of the scripted Graph come and go with connections."""
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and "/tests/" not in code.co_filename


def resident_kb() -> int:
    ctypes.CDLL(None).malloc_trim(0)  # what the allocator only keeps for later is no residue
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])
