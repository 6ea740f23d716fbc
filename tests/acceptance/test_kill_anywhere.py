"""Servers are killed again and again, at random steps of messages' ways, and lose and repeat nothing."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from greenline.checkpoints import NAMES
from support.doomed import KEY, RETRIES, doomed_server, free_port
from support.killing import PROMPT, TOOLS, crowd, verify
from support.meta import emulator
from support.scripted import scripted
from support.shop import Shop

SEEDS, LIVES, CROWD, WORDS = range(4), 12, 16, 20
GRACE = 15.0
"""What a status may take on a busy machine from when a server listens. How long none does, does not matter."""
LONG, SHORT = 60.0, 20.0
"""How long servers live that don't die. Where each life of the one that listens is short, more and more people wait
for messages that may have left, since those wait as long again as it took until then: the first lives long enough for
them, until so much is written again that it dies."""
PATIENCE = 1500.0


@pytest.mark.soak
@pytest.mark.timeout(2000)
@pytest.mark.parametrize("seed", SEEDS)
async def test_killed_again_and_again(seed: int, dsn: str, tmp_path: Path) -> None:
    """Two servers that die at random steps, one after the other and at once, under faults of Meta."""
    dice, shop = random.Random(seed), Shop()
    async with emulator(webhook_retry_schedule=RETRIES) as meta, scripted(shop) as shop_server:
        ports = (free_port(), free_port())
        options: dict[str, Any] = {"grace": GRACE, "shop": shop_server.url}
        async with doomed_server(meta, dsn, tmp_path, ports[0]) as first:
            await meta.furnish(first.url, KEY, PROMPT, TOOLS)
        for fault in ("reset_before_accept", "reset_after_accept", "webhook_duplicate", "webhook_shuffle"):
            await meta.call("POST", "/faults", name=fault, probability=0.1, seed=seed)
        talks = await crowd(meta, CROWD, WORDS)
        running = asyncio.gather(*(talk.run(PATIENCE) for talk in talks))
        deaths = 0

        async def lives(port: int, seconds: float, **settings: str) -> None:
            nonlocal deaths
            for _ in range(LIVES):
                crash = (dice.choice(NAMES), dice.randint(1, 12))
                async with doomed_server(meta, dsn, tmp_path, port, crash, settings=settings, **options) as doomed:
                    dying = asyncio.create_task(doomed.ended(PATIENCE))
                    over: set[asyncio.Future[Any]] = {dying, running}
                    await asyncio.wait(over, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                    deaths += dying.done()
                    dying.cancel()

        async def last_life(port: int) -> None:
            await lives(port, LONG)
            async with doomed_server(meta, dsn, tmp_path, port, **options):
                await running

        # Meta's webhooks go to the first only, which is up again as soon as its next life has begun, however long
        # that takes: what may have left meanwhile waits, since the second can't hear of it.
        await asyncio.gather(last_life(ports[0]), lives(ports[1], SHORT, GREENLINE_TAKES_WEBHOOKS="false"))
        assert deaths >= LIVES // 2
        async with doomed_server(meta, dsn, tmp_path, ports[0], **options):
            await verify(meta, talks, shop)
