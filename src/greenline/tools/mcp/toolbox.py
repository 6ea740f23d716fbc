"""The MCP tools of a conversation: which servers its agent names, what they offer now, and under which names."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog

from greenline.agents.lookup import Lookup, ValueUnavailable
from greenline.clock import Clock
from greenline.settings import Settings
from greenline.store.pool import Pool
from greenline.text import clean_text
from greenline.tools.mcp.catalogue import Catalogue, Listing
from greenline.tools.mcp.client import ListedTool, McpClients
from greenline.tools.mcp.desk import Desk, Integration, McpConnections
from greenline.tools.mcp.endpoint import Endpoint, endpoint_of
from greenline.tools.mcp.models import McpServer
from greenline.tools.mcp.schemas import fault_of
from greenline.tools.mcp.service import find_servers
from greenline.tools.mcp.tool import McpTool

log = structlog.get_logger(__name__)

OFFER_SECONDS: Final = 3.0
"""How long a turn waits for a server that nobody has asked yet; it goes on without its tools then."""
MAX_OFFERED: Final = 100
"""Tools of MCP servers in a turn: providers take 128 in all."""
MAX_NAME: Final = 64
UNSTORABLE: Final = "its name has characters that no journal holds"
UNKNOWN: Final = "The workspace has no MCP server with this id."

_UNUSUAL: Final = re.compile(r"[^a-zA-Z0-9_-]")


class Mcp:
    """MCP servers for all conversations of the process."""

    def __init__(self, pool: Pool, clock: Clock, settings: Settings) -> None:
        self.pool = pool
        self.clock = clock
        self.clients = McpClients(settings)
        self.catalogue = Catalogue(self.clients, clock)

    async def aclose(self) -> None:
        """Ask no server any more."""
        await self.catalogue.aclose()
        await self.clients.aclose()


@dataclass(frozen=True, slots=True)
class _Shelf:
    """A server and what it offers; ``endpoint`` is None when it can't even be asked."""

    server: McpServer
    listing: Listing
    endpoint: Endpoint | None = None

    def usable(self) -> list[ListedTool]:
        found = []
        for tool in self.listing.tools:
            name = clean_text(tool.name)
            fault = fault_of(tool.input_schema) if name == tool.name else UNSTORABLE
            if fault:
                log.warning("mcp.tool_left_out", server_id=self.server.id, tool=name, reason=fault)
            else:
                found.append(tool)
        return found


@dataclass(frozen=True, slots=True)
class Offer:
    """What may be offered in a turn; made into tools once the names of the others are known.

    ``away`` are the servers that could not be asked, by name with the reason.
    """

    box: Toolbox | None = field(default=None, repr=False)
    tools: tuple[tuple[McpServer, Endpoint, ListedTool], ...] = ()
    away: Mapping[str, str] = field(default_factory=dict)

    def named(self, taken: Iterable[str], variables: Mapping[str, Any]) -> tuple[McpTool, ...]:
        """The tools, with names that a provider takes and that are not ``taken``."""
        if self.box is None:
            return ()
        used = set(taken)
        found = []
        for server, endpoint, listed in self.tools:
            name = unique_name(listed.name, server.config.name, used)
            used.add(name)
            found.append(self.box.tool(name, server, endpoint, listed, variables))
        return tuple(found)


NOTHING: Final = Offer()


class Toolbox:
    """Those of one conversation. ``desk`` shows and approves their calls."""

    def __init__(self, mcp: Mcp, lookup: Lookup, desk: Desk) -> None:
        self._mcp = mcp
        self._lookup = lookup
        self._desk = desk
        self._told: tuple[Integration, ...] = ()

    async def offer(self, server_ids: Sequence[str], variables: Mapping[str, Any]) -> Offer:
        """What the servers offer now; those that can't be asked, or take too long, are left out.

        ``variables`` are the dynamic variables by now: addresses and headers may name them.
        """
        if not server_ids:
            return NOTHING
        lookup = replace(self._lookup, variables=variables)
        servers = await find_servers(self._mcp.pool, lookup.workspace_id, server_ids)
        shelves = await asyncio.gather(*(self._shelf(server, lookup) for server in servers))
        usable = {shelf.server.id: shelf.usable() for shelf in shelves}
        connected = {shelf.server.id for shelf in shelves if shelf.listing.is_connected}
        self._tell(Integration(name, name in connected, len(usable.get(name, ()))) for name in server_ids)
        away = {shelf.server.config.name: shelf.listing.error for shelf in shelves if shelf.listing.error}
        if unknown := [name for name in server_ids if name not in usable]:
            log.warning("mcp.unknown_servers", server_ids=unknown)
            away |= dict.fromkeys(unknown, UNKNOWN)
        tools = [
            (shelf.server, shelf.endpoint, tool)
            for shelf in shelves
            if shelf.endpoint is not None
            for tool in usable[shelf.server.id]
        ]
        if len(tools) > MAX_OFFERED:
            log.warning("mcp.too_many_tools", tools=len(tools), offered=MAX_OFFERED)
        return Offer(self, tuple(tools[:MAX_OFFERED]), away)

    def tool(
        self, name: str, server: McpServer, endpoint: Endpoint, listed: ListedTool, variables: Mapping[str, Any]
    ) -> McpTool:
        """One of the offer, as a tool of the engine."""

        def lost(reason: str) -> None:
            self._mcp.catalogue.lost(endpoint, reason)
            gone = Integration(server.id, is_connected=False)
            self._tell(gone if item.server_id == server.id else item for item in self._told)

        return McpTool(
            name=name,
            server=server,
            listed=listed,
            endpoint=endpoint,
            lookup=self._lookup,
            clients=self._mcp.clients,
            desk=self._desk,
            clock=self._mcp.clock,
            lost=lost,
            variables=variables,
        )

    async def _shelf(self, server: McpServer, lookup: Lookup) -> _Shelf:
        try:
            endpoint = await endpoint_of(server.config, lookup)
        except ValueUnavailable as error:
            log.warning("mcp.misconfigured", server_id=server.id, reason=error.message)
            return _Shelf(server, Listing(self._mcp.clock.now(), error=error.message))
        await self._mcp.clients.load()
        try:
            async with asyncio.timeout(OFFER_SECONDS):
                listing = await self._mcp.catalogue.listing(server.id, endpoint)
        except TimeoutError:
            log.warning("mcp.slow", server_id=server.id, seconds=OFFER_SECONDS)
            listing = Listing(self._mcp.clock.now(), error="It has not told of its tools yet.")
        return _Shelf(server, listing, endpoint)

    def _tell(self, integrations: Iterable[Integration]) -> None:
        """Who watches the conversation learns of it when it changes."""
        found = tuple(integrations)
        if found != self._told:
            self._told = found
            self._desk.tell(McpConnections(found))


def unique_name(tool_name: str, server_name: str, used: Collection[str]) -> str:
    """A name that every provider takes: letters, digits, ``_`` and ``-``, at most 64, not beginning with a digit.

    One that is in use is told apart by its server, then by a number.
    """
    name = _usual(tool_name)
    if name not in used:
        return name
    longer = _usual(f"{server_name}_{tool_name}")
    candidates = (longer, *(f"{longer[: MAX_NAME - 4]}_{number}" for number in range(2, MAX_OFFERED + 2)))
    return next(candidate for candidate in candidates if candidate not in used)


def _usual(name: str) -> str:
    plain = _UNUSUAL.sub("_", name)[:MAX_NAME]
    return plain if plain[:1].isalpha() or plain.startswith("_") else f"_{plain}"[:MAX_NAME]
