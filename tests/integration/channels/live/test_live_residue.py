"""What whole conversations by voice leave behind: a recording each, and nothing else."""

from __future__ import annotations

import asyncio
import gc

import pytest

from greenline.channels.live.models import ResponseComplete
from greenline.channels.live.session import LiveSession
from greenline.settings import Settings
from support.live import Room, Stage, told_of
from support.residue import open_files, threads, work_of
from support.spoken import SpokenSpeech, ask
from support.wait import until


@pytest.mark.parametrize("count", [20, pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(900)])])
async def test_conversations_leave_nothing_but_their_recordings(
    live: Stage, speech: SpokenSpeech, settings: Settings, count: int
) -> None:
    await converse(live, speech, 5)
    before, files = await residue(live, settings), open_files()
    await converse(live, speech, count)
    assert await residue(live, settings) == before
    assert open_files() - files < min(count, settings.database_connections), "the pool may have grown"
    assert await live.pool.fetchval("select count(*) from conversation_recording") == 5 + count
    assert await live.pool.fetchval("select count(*) from mailbox where owner is not null") == 0


async def converse(live: Stage, speech: SpokenSpeech, count: int) -> None:
    """So many conversations, one after the other: every second one is ended by the agent's side."""
    for number in range(count):
        speech.streams.clear()  # the next one is this conversation's
        session, told = await live.begin(Room())
        await ask(session, speech, "Do you sell tea?")
        await told_of(told, ResponseComplete)
        session.end("Bye" if number % 2 else "Agent ended the call")
        await live.tasks.pop()


async def residue(live: Stage, settings: Settings) -> dict[str, object]:
    """What the process and the data directory hold, once the recordings are made."""

    spool = settings.data_dir / "spool"

    async def spool_is_empty() -> bool:
        return not list(spool.glob("*/*"))

    await until(spool_is_empty)
    for _ in range(3):
        gc.collect()
        await asyncio.sleep(0)
    return {
        "tasks": sorted(work_of(task) for task in asyncio.all_tasks()),
        "threads": threads(),
        "sessions": sum(isinstance(thing, LiveSession) for thing in gc.get_objects()),
    }
