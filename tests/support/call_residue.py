"""What a process that takes calls holds, to be compared before and after many of them."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections import Counter
from pathlib import Path
from typing import Any

from greenline.channels.webrtc.media import MediaCall
from support.calling import CallChannel
from support.residue import open_files, threads, udp_sockets, work_of

LARGEST_GROWTH_KB = 30_000
"""Of 1,000 calls: 30 kB each would still be a leak that shows within a day; caches and the heap's slack are below."""


async def residue(channel: CallChannel) -> dict[str, Any]:
    """What the process holds."""
    channel.meta.actions.clear()
    channel.agents.voices.clear()
    await channel.quiet()
    await channel.settled()  # connections go back to the pool in tasks of their own
    for _ in range(3):
        gc.collect()
        await asyncio.sleep(0)
    return {
        "tasks": [work_of(task) for task in asyncio.all_tasks() if _of_ours(task)],
        "threads": threads(),
        "files": open_files(),
        "udp": udp_sockets(),
        "media": sum(isinstance(thing, MediaCall) for thing in gc.get_objects()),
        "active": channel.calls.active,
        "kb": _resident_kb(),
    }


def assert_no_more(after: dict[str, Any], before: dict[str, Any], channel: CallChannel) -> None:
    """Nothing was left behind, but for what a process keeps on purpose."""
    after, before = dict(after), dict(before)
    assert after.pop("kb") - before.pop("kb") < LARGEST_GROWTH_KB
    grown = after.pop("files") - before.pop("files")
    assert grown <= channel.settings.database_connections, "the pool may have grown"
    more = Counter(after.pop("tasks")) - Counter(before.pop("tasks"))
    assert not more, f"tasks were left: {more}"
    assert after == before


def _of_ours(task: asyncio.Task[Any]) -> bool:
    """Whether a task is the server's or its media's; those of the scripted Graph come and go with connections."""
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and "/tests/" not in code.co_filename


def _resident_kb() -> int:
    ctypes.CDLL(None).malloc_trim(0)  # what the allocator only keeps for later is no residue
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])
