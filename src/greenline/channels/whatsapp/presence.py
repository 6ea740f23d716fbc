"""Blue ticks and the typing bubble: shown when a message is accepted for work, and renewed while it lasts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from greenline.channels.whatsapp.graph import GraphClient
from greenline.channels.whatsapp.graph_errors import GraphError
from greenline.clock import Clock

log = structlog.get_logger(__name__)

RENEW_SECONDS: Final = 20.0
"""Meta takes the bubble away after 25 seconds."""
SETTLE_SECONDS: Final = 1.0
"""How long an answer waits for the first request to be through: a bubble that comes after it would stay."""


@asynccontextmanager
async def typing(
    graph: GraphClient, clock: Clock, *, phone_number_id: str, token: str, wamid: str
) -> AsyncIterator[None]:
    """Mark ``wamid`` as read and show that the agent is typing, until the block ends.

    A failure changes nothing for the answer and is only logged: a message may be too old to be marked.
    """
    shown = asyncio.Event()

    async def keep() -> None:
        try:
            while True:
                await graph.mark_read(phone_number_id, token, wamid, typing=True)
                shown.set()
                await clock.sleep(RENEW_SECONDS)
        except GraphError as error:
            log.info("presence.failed", code=error.code)
        finally:
            shown.set()

    task = asyncio.create_task(keep())
    try:
        yield
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(shown.wait(), SETTLE_SECONDS)
    finally:
        task.cancel()
        await asyncio.wait({task})
