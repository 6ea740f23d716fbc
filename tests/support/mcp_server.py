"""A real MCP server of the official SDK, over HTTP on loopback, whose tools do what a test wants."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal

from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.sse import SseServerTransport
from mcp.shared.exceptions import MCPError
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from greenline.agents import service as agents
from greenline.agents.models import AgentChanges
from greenline.clock import Clock
from greenline.store.pool import Pool
from greenline.tools.mcp.models import McpServer, McpServerConfig
from greenline.tools.mcp.service import McpServers
from support.rows import WORKSPACE
from support.web_server import WebServer, web_server

Transport = Literal["SSE", "STREAMABLE_HTTP"]
TRANSPORTS: tuple[Transport, ...] = ("SSE", "STREAMABLE_HTTP")
PATHS = {"SSE": "/sse", "STREAMABLE_HTTP": "/mcp"}


def schema(**properties: str) -> dict[str, Any]:
    """Of an object with required properties of these types."""
    shapes = {name: {"type": kind} for name, kind in properties.items()}
    return {"type": "object", "properties": shapes, "required": list(properties)}


PRICE = types.Tool(name="price", description="What something costs.", input_schema=schema(what="string"))
ORDER = types.Tool(name="order", description="Orders something.", input_schema=schema(what="string"))


@dataclass
class Shop:
    """``tools`` are offered; ``ran`` are the calls that ran, ``metas`` what they had in ``_meta``.

    ``hold``: a call waits for it, ``hold_listing``: so does the listing; ``called`` is set when a call has begun.
    ``hold_farewell``: so does the end of a session. ``size`` is the length of an answer, ``error`` is one in its
    place. ``refused`` are statuses by the method, of HTTP or of the protocol. ``more`` are further pages of tools.
    """

    tools: list[types.Tool] = field(default_factory=lambda: [PRICE, ORDER])
    ran: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    metas: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    listings: int = 0
    hold: asyncio.Event | None = None
    hold_listing: asyncio.Event | None = None
    hold_farewell: asyncio.Event | None = None
    error: MCPError | None = None
    refused: dict[str, int] = field(default_factory=dict)
    more: list[list[types.Tool]] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)
    begun: int = 0
    """Calls that came, whether they ran or not."""
    size: int = 0
    structured: dict[str, Any] | None = None
    """The structured content of an answer."""
    url: str = ""
    transport: Transport = "STREAMABLE_HTTP"
    _server: WebServer | None = None

    @property
    def config(self) -> dict[str, Any]:
        """As the API takes it."""
        return {"name": "Shop", "url": self.url, "transport": self.transport}

    async def list_tools(self, context: Any, params: Any) -> types.ListToolsResult:
        self.listings += 1
        if self.hold_listing is not None:
            await self.hold_listing.wait()
        pages = [self.tools, *self.more]
        page = int(params.cursor) if params is not None and params.cursor else 0
        following = str(page + 1) if page + 1 < len(pages) else None
        return types.ListToolsResult(tools=pages[page], next_cursor=following)

    async def call_tool(self, context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        self.begun += 1
        self.called.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error
        arguments = dict(params.arguments or {})
        if params.name not in [tool.name for tool in self.tools]:
            return _said(f"There is no tool {params.name}.", is_error=True)
        self.ran.append((params.name, arguments))
        self.metas.append({str(name): value for name, value in (params.meta or {}).items()})
        if arguments.get("what") == "coffee":
            return _said("We have no coffee.", is_error=True)
        answer = _said("x" * self.size if self.size else f"{params.name} of {arguments.get('what')}: 7 euros")
        return answer.model_copy(update={"structured_content": self.structured})

    def die(self) -> None:
        """As when its machine is switched off: every connection is cut."""
        assert self._server is not None
        for connection in list(self._server.server_state.connections):
            connection.transport.abort()
        for listener in self._server.servers:
            listener.close()


def _said(text: str, *, is_error: bool = False) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=is_error)


class _Stream:
    """The endpoint that holds the event stream of a session."""

    def __init__(self, server: Server[Any], messages: SseServerTransport) -> None:
        self._server = server
        self._messages = messages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._messages.connect_sse(scope, receive, send) as (incoming, outgoing):
            await self._server.run(incoming, outgoing, self._server.create_initialization_options())


def _sse_app(server: Server[Any]) -> ASGIApp:
    messages = SseServerTransport("/messages/")
    routes = [
        Route(PATHS["SSE"], endpoint=_Stream(server, messages), methods=["GET"]),
        Mount("/messages/", app=messages.handle_post_message),
    ]
    return Starlette(routes=routes)


class _OfYesterday:
    """A server that knows sessions and no other protocol: it has not heard of ``server/discover`` (2026-07-28)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and dict(scope["headers"]).get(b"mcp-method") == b"server/discover":
            await Response("Bad request", 400)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


@contextlib.asynccontextmanager
async def mcp_server(
    transport: Transport = "STREAMABLE_HTTP", port: int = 0, *, of_yesterday: bool = False
) -> AsyncIterator[Shop]:
    """A shop on a free port, or on this one."""
    shop = Shop(transport=transport)
    server: Server[Any] = Server("shop", on_list_tools=shop.list_tools, on_call_tool=shop.call_tool)
    app: ASGIApp = server.streamable_http_app() if transport == "STREAMABLE_HTTP" else _sse_app(server)

    if of_yesterday:
        app = _OfYesterday(app)

    async def seen(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            shop.headers.append({":method": scope["method"], **headers})
            if scope["method"] == "DELETE" and shop.hold_farewell is not None:
                await shop.hold_farewell.wait()
            status = shop.refused.get(scope["method"]) or shop.refused.get(headers.get("mcp-method", ""))
            if status is not None:
                await Response(status_code=status)(scope, receive, send)
                return
        await app(scope, receive, send)

    async with web_server(seen, port, lifespan="on", timeout_graceful_shutdown=1) as (shop._server, url):
        shop.url = url + PATHS[transport]
        try:
            yield shop
        finally:
            for held in (shop.hold, shop.hold_listing, shop.hold_farewell):
                if held is not None:
                    held.set()


async def equip(pool: Pool, clock: Clock, agent_id: str, shop: Shop, **more: Any) -> McpServer:
    """A server of the workspace that the agent uses; ``more`` belongs to its configuration."""
    config = McpServerConfig.model_validate({**shop.config, **more})
    server = await McpServers(pool, clock, WORKSPACE).create(config)
    prompt = {"mcp_server_ids": [server.id]}
    changes = AgentChanges(conversation_config={"agent": {"prompt": prompt}})
    await agents.update(pool, clock, WORKSPACE, agent_id, changes)
    return server


def naming_the_offer() -> dict[str, Any]:
    """A configuration whose tool ``price`` sets the dynamic variable ``offer``, which a header and ``_meta`` name."""
    assignment = {"dynamic_variable": "offer", "value_path": "offer.id"}
    return {
        "approval_policy": "auto_approve_all",
        "request_headers": {"X-Offer": {"variable_name": "offer"}},
        "request_meta": {"offer": {"variable_name": "offer"}},
        "tool_config_overrides": [{"tool_name": "price", "assignments": [assignment]}],
    }
