"""News of journals: who watches a conversation is told when it has grown, whichever process wrote to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from greenline.store.pool import Pool
from greenline.store.sql import load_sql
from greenline.store.wakeups import Wakeups

SQL = load_sql(__package__, "queries.sql")

KIND: Final = "journal"
"""Of the notifications (``tell_watchers`` in the database)."""


class JournalNews:
    """The watchers of this process."""

    def __init__(self, pool: Pool, wakeups: Wakeups) -> None:
        self._pool = pool
        self._watchers: dict[str, set[asyncio.Event]] = {}
        wakeups.held_by(KIND, self._tell)
        wakeups.on_listening(self._tell_all)

    @contextlib.asynccontextmanager
    async def of(self, workspace_id: str, conversation_id: str) -> AsyncIterator[asyncio.Event]:
        """Give an event that is set when there may be more than the journal holds as the block begins."""
        news = asyncio.Event()
        watchers = self._watchers.setdefault(conversation_id, set())
        watchers.add(news)
        try:
            await self._pool.execute(SQL["watch"], workspace_id, conversation_id)
            yield news
        finally:
            watchers.discard(news)
            if not watchers:
                self._watchers.pop(conversation_id, None)

    def _tell(self, conversation_id: str) -> bool:
        for news in self._watchers.get(conversation_id, ()):
            news.set()
        return True

    def _tell_all(self) -> None:
        """Nobody knows what was notified while the connection was lost."""
        for conversation_id in self._watchers:
            self._tell(conversation_id)
