"""Calls of MCP tools that wait for the word of a person, and whom a live conversation asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from greenline.clock import Clock, later
from greenline.tools.mcp.desk import McpConnections, McpToolCall


class Approvals:
    """The calls of one conversation that wait."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[str, asyncio.Future[bool]] = {}

    @property
    def calls(self) -> frozenset[str]:
        """Those that wait."""
        return frozenset(self._waiting)

    def answer(self, call_id: str, *, is_approved: bool) -> None:
        """The word on a call. The first one counts; one for a call that does not wait changes nothing."""
        future = self._waiting.get(call_id)
        if future is not None and not future.done():
            future.set_result(is_approved)

    async def wait(self, call_id: str, seconds: float) -> bool | None:
        """The word; None when there was none in ``seconds``."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[call_id] = future
        limit = asyncio.create_task(self._clock.sleep_until(later(self._clock.now(), seconds)))
        either: set[asyncio.Future[Any]] = {future, limit}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            return future.result() if future.done() else None
        finally:
            limit.cancel()
            del self._waiting[call_id]


@dataclass(frozen=True, slots=True)
class ClientDesk:
    """A `greenline.tools.mcp.desk.Desk`: the client of a conversation, if it has one that is told of calls."""

    can_approve: bool
    tell: Callable[[McpToolCall | McpConnections], None] = field(repr=False)
    approvals: Approvals = field(repr=False)

    async def approve(self, call_id: str, seconds: float) -> bool | None:
        """The word of the person; None when there was none in time."""
        return await self.approvals.wait(call_id, seconds)
