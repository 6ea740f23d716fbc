"""What must not grow for ever: events and calls are kept as long as Meta may repeat what it said of them."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Final

import structlog

from greenline.channels.whatsapp.calls.store import forget_calls
from greenline.channels.whatsapp.inbox import Inbox
from greenline.clock import Clock
from greenline.settings import Settings
from greenline.store.pool import Pool

log = structlog.get_logger(__name__)

EVERY_SECONDS: Final = 3600.0


class Housekeeping:
    """Deletes old events and calls each hour. Many processes may do it at once."""

    def __init__(self, pool: Pool, inbox: Inbox, clock: Clock, settings: Settings) -> None:
        self._pool = pool
        self._inbox = inbox
        self._clock = clock
        self._keep = timedelta(days=settings.inbox_retention_days)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; the first round comes at once."""
        self._task = asyncio.create_task(self._loop())

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _loop(self) -> None:
        while True:
            try:
                before = self._clock.now() - self._keep
                events, calls = await self._inbox.forget_old(before), await forget_calls(self._pool, before)
                if events or calls:
                    log.info("inbox.forgotten", events=events, calls=calls)
            except Exception:  # the boundary of a look: the database may be away
                log.exception("housekeeping.fault")
            await self._clock.sleep(EVERY_SECONDS)
