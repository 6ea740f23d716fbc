"""What must not grow for ever: events and calls are kept as long as Meta may repeat what it said of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import structlog

from greenline.channels.whatsapp.calls.store import forget_calls
from greenline.channels.whatsapp.inbox import Inbox
from greenline.clock import Clock
from greenline.settings import Settings
from greenline.store.pool import Pool
from greenline.store.rounds import Rounds

log = structlog.get_logger(__name__)

EVERY_SECONDS: Final = 3600.0


class Housekeeping(Rounds):
    """Deletes old events and calls each hour. Many processes may do it at once."""

    def __init__(self, pool: Pool, inbox: Inbox, clock: Clock, settings: Settings) -> None:
        super().__init__(clock, "housekeeping", EVERY_SECONDS)
        self._pool = pool
        self._inbox = inbox
        self._keep = timedelta(days=settings.inbox_retention_days)

    async def round(self) -> bool:
        """Delete what is old."""
        before = self._clock.now() - self._keep
        events, calls = await self._inbox.forget_old(before), await forget_calls(self._pool, before)
        if events or calls:
            log.info("inbox.forgotten", events=events, calls=calls)
        return False
