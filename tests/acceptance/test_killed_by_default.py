"""The longest wait with the lease and the grace of the default settings: the server dies before a message leaves."""

import asyncio
from pathlib import Path

from greenline.settings import Settings
from support.doomed import KEY, RETRIES, doomed_server, free_port
from support.killing import PATIENCE_SECONDS, STUCK_SECONDS, crowd, verify
from support.meta import emulator
from support.shop import Shop

PROMPT = r"offline: when ^(.+)$ -> say You said \1"


async def test_no_chat_is_stuck_with_default_settings(dsn: str, tmp_path: Path) -> None:
    """Two people write; the server dies with the first answer on its way, and is there again."""
    lease, grace = (
        Settings.model_fields[name].default for name in ("lease_seconds", "unknown_outcome_grace_seconds")
    )
    port, shop, now = free_port(), Shop(), asyncio.get_running_loop().time
    settings = {"GREENLINE_LEASE_SECONDS": str(lease)}
    async with emulator(webhook_retry_schedule=RETRIES) as meta:
        async with doomed_server(
            meta, dsn, tmp_path, port, ("sender.marked", 1), grace=grace, settings=settings
        ) as doomed:
            await meta.furnish(doomed.url, KEY, PROMPT)
            talks = await crowd(meta, 2, 1)
            running = asyncio.gather(*(talk.run() for talk in talks))
            await doomed.ended(PATIENCE_SECONDS)
        death = now()
        async with doomed_server(meta, dsn, tmp_path, port, grace=grace, settings=settings):
            away = now() - death
            await running
            await verify(meta, talks, shop)
            assert max(talk.longest_wait(death) for talk in talks) <= STUCK_SECONDS + 2 * away
