"""What servers offer, as this process last heard: a conversation does not wait for what another one just asked."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from greenline.clock import Clock
from greenline.tools.mcp.client import ListedTool, McpClients
from greenline.tools.mcp.endpoint import Endpoint
from greenline.tools.mcp.failures import McpFailure
from greenline.tools.mcp.figures import LISTINGS

log = structlog.get_logger(__name__)

LIST_SECONDS: Final = 10.0
"""How long a server may take to tell of its tools."""
FRESH: Final = timedelta(seconds=60)
"""How old a listing may be that is used without asking again."""
RETRY: Final = timedelta(seconds=15)
"""After how long a server that could not be asked is asked again."""
STALE: Final = timedelta(minutes=10)
"""How old a listing may be that is used while the server is asked again; an older one is waited for."""
MOST: Final = 1_000
"""Listings that are kept: a server whose headers differ from person to person has one for each."""
MOST_BYTES: Final = 16_777_216
"""Of all listings that are kept, written as JSON; in memory they take some five times as much."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The tools of a server at a moment, or why there are none."""

    at: datetime
    tools: tuple[ListedTool, ...] = ()
    error: str = ""

    @property
    def size(self) -> int:
        """In bytes, written as JSON."""
        return sum(tool.size for tool in self.tools)

    @property
    def is_connected(self) -> bool:
        """Whether the server could be asked."""
        return not self.error

    def is_fresh(self, now: datetime) -> bool:
        """Whether it need not be asked again."""
        return now - self.at < (FRESH if self.is_connected else RETRY)


class Catalogue:
    """Listings by endpoint: the same server with other headers may offer other tools."""

    def __init__(self, clients: McpClients, clock: Clock) -> None:
        self._clients = clients
        self._clock = clock
        self._known: OrderedDict[Endpoint, Listing] = OrderedDict()
        self._bytes = 0
        self._asking: dict[Endpoint, asyncio.Task[Listing]] = {}

    async def aclose(self) -> None:
        """Ask no more."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def listing(self, server_id: str, endpoint: Endpoint) -> Listing:
        """What the server offers. Whoever stops waiting for it does not stop the question."""
        now, known = self._clock.now(), self._known.get(endpoint)
        if known is not None and known.is_fresh(now):
            return known
        task = self._asking.get(endpoint)
        if task is None:
            task = self._asking[endpoint] = asyncio.create_task(self._ask(server_id, endpoint))
        if known is not None and now - known.at < STALE:
            return known
        return await asyncio.shield(task)

    def lost(self, endpoint: Endpoint, reason: str) -> None:
        """A call has found the server away: what it offers is offered again when it tells of it anew."""
        self._keep(endpoint, Listing(self._clock.now(), error=reason))

    async def _ask(self, server_id: str, endpoint: Endpoint) -> Listing:
        try:
            tools = await self._clients.tools(endpoint, LIST_SECONDS)
        except McpFailure as failure:
            LISTINGS.labels("failed").inc()
            log.warning("mcp.unreachable", server_id=server_id, kind=failure.kind, reason=failure.reason)
            known = self._known.get(endpoint)
            if failure.kind == "mcp_busy" and known is not None:  # which says nothing of the server
                return known
            return self._keep(endpoint, Listing(self._clock.now(), error=failure.reason))
        finally:
            del self._asking[endpoint]  # now: whoever asks from here on is to have a newer answer
        LISTINGS.labels("success").inc()
        return self._keep(endpoint, Listing(self._clock.now(), tools))

    def _keep(self, endpoint: Endpoint, listing: Listing) -> Listing:
        """The newest one is kept whatever its size; the oldest ones go."""
        former = self._known.pop(endpoint, None)
        self._known[endpoint] = listing
        self._bytes += listing.size - (former.size if former is not None else 0)
        while len(self._known) > 1 and (len(self._known) > MOST or self._bytes > MOST_BYTES):
            _, oldest = self._known.popitem(last=False)
            self._bytes -= oldest.size
        return listing
