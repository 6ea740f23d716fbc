"""The room's worker."""

from __future__ import annotations

import secrets
from typing import Final

from greenline.clock import Clock
from greenline.insight.analysis import KIND, Analysis
from greenline.llm.models import LanguageModels
from greenline.settings import Settings
from greenline.store.mailbox import Mailboxes
from greenline.store.pool import Pool
from greenline.store.wakeups import Wakeups
from greenline.store.worker import Worker

AT_ONCE: Final = 8
"""Analyses of one process at once: they wait for models, and nobody waits for them."""


class Insight:
    """Analyses conversations after their end."""

    def __init__(
        self, *, pool: Pool, wakeups: Wakeups, models: LanguageModels, clock: Clock, settings: Settings
    ) -> None:
        analysis = Analysis(pool, models, clock)
        self._worker = Worker(
            Mailboxes(pool, lease_seconds=max(settings.lease_seconds, settings.llm_timeout_seconds)),
            wakeups,
            clock,
            kind=KIND,
            owner=secrets.token_hex(8),
            handler=analysis.handle,
            give_up=analysis.give_up,
            room=AT_ONCE,
            max_attempts=settings.turn_max_attempts,
        )

    def start(self) -> None:
        """Begin to work."""
        self._worker.start()

    async def stop(self, seconds: float) -> None:
        """Take no new work; what runs has ``seconds``, and is done by another process after that."""
        await self._worker.stop(seconds)

    def state(self) -> dict[str, bool]:
        """Whether the worker is alive."""
        return {"analysis": self._worker.running}
