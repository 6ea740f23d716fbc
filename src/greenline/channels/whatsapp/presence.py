"""Blue ticks and the typing bubble: shown when a message is accepted for work, and renewed while it lasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from greenline.channels.whatsapp.graph import GraphClient
from greenline.channels.whatsapp.graph_errors import GraphError
from greenline.channels.whatsapp.graph_token import Token
from greenline.clock import Clock

log = structlog.get_logger(__name__)

RENEW_SECONDS: Final = 20.0
"""Meta takes the bubble away after 25 seconds."""
SETTLE_SECONDS: Final = 1.0
"""How long an answer waits for the first request to be through: a bubble that comes after it would stay."""


class Presence:
    """Who is shown that the agent has read and types. A failure changes nothing for the answer and is only logged."""

    def __init__(self, graph: GraphClient, clock: Clock) -> None:
        self._graph = graph
        self._clock = clock
        self._asking: dict[str, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def typing(self, chat_id: str, *, phone_number_id: str, token: Token, wamid: str) -> AsyncIterator[None]:
        """Mark ``wamid`` as read and show that the agent is typing, until the block ends.

        The first request is not cut short by a quick answer: `settled` tells when it is through.
        """
        first = asyncio.create_task(self._show(phone_number_id, token, wamid))
        self._asking[chat_id] = first
        first.add_done_callback(lambda task: self._forget(chat_id, task))
        renewal = asyncio.create_task(self._renew(phone_number_id, token, wamid))
        try:
            yield
        finally:
            renewal.cancel()
            await asyncio.wait({renewal})

    async def settled(self, chat_id: str) -> None:
        """Return when no first request of the chat is under way in this process, or after `SETTLE_SECONDS`."""
        asking = self._asking.get(chat_id)
        if asking is not None:
            await asyncio.wait({asking}, timeout=SETTLE_SECONDS)

    async def aclose(self) -> None:
        """Give up what is under way."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def _forget(self, chat_id: str, task: asyncio.Task[None]) -> None:
        if self._asking.get(chat_id) is task:
            del self._asking[chat_id]

    async def _renew(self, phone_number_id: str, token: Token, wamid: str) -> None:
        while True:
            await self._clock.sleep(RENEW_SECONDS)
            await self._show(phone_number_id, token, wamid)

    async def _show(self, phone_number_id: str, token: Token, wamid: str) -> None:
        try:
            await self._graph.mark_read(phone_number_id, token, wamid, typing=True)
        except GraphError as error:
            log.info("presence.failed", code=error.code)
