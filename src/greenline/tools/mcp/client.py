"""Sessions with MCP servers, through the official SDK and the outbound guard.

A listing or a call is a session of its own: connect, agree on a version of the protocol, ask, leave. So a server that
was restarted is met anew, what failed before the call was sent surely did not run, and nothing of one conversation
reaches another one; the connections below are kept. The price is a state that a server keeps for a session, which the
newest version of the protocol has no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import httpx2

from greenline.llm.calls import integer_of
from greenline.settings import Settings
from greenline.text import clean_data
from greenline.tools.guard import Allowance, AnswerTooLarge, GuardedTransport, OutboundRefused
from greenline.tools.mcp.endpoint import Endpoint
from greenline.tools.mcp.exchange import Exchange

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult

MAX_BYTES: Final = 1_048_576
"""Largest answer: the SDK's own limit for an event, and more than a model could take in."""
WHOLE_SECONDS: Final = 330.0
"""Longest exchange: the longest call that may be configured (300 s), and time to connect."""
CONNECT_SECONDS: Final = 10.0
_MODULES: Final = ("mcp", "mcp.client.sse", "mcp.client.streamable_http")
VERSION: Final = version("greenline")
MAX_TOOLS: Final = 500
"""Tools that are read of one server; a model is offered far fewer."""


class McpFailure(Exception):
    """A server could not be asked, or what it said can't be used. The text holds no secret.

    ``sent``: the call may have run all the same. ``kind`` is the ``error_type`` of the transcript.
    """

    def __init__(self, kind: str, reason: str, *, sent: bool = False) -> None:
        self.kind = kind
        self.reason = reason
        self.sent = sent
        super().__init__(reason)

    @property
    def is_away(self) -> bool:
        """Whether the server, and not this one call, is in trouble."""
        return self.kind in ("mcp_unreachable", "mcp_refused")


@dataclass(frozen=True, slots=True)
class ListedTool:
    """A tool as its server describes it."""

    name: str
    description: str = ""
    input_schema: Mapping[str, Any] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)
    """All of it, as JSON."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool answered: content blocks and structured content, as JSON."""

    blocks: tuple[Mapping[str, Any], ...]
    structured: Any = None
    is_error: bool = False


class McpClients:
    """What the process needs to talk to servers."""

    def __init__(self, settings: Settings) -> None:
        self._connections = GuardedTransport(
            Allowance(settings.outbound_allow), max_bytes=MAX_BYTES, whole_seconds=WHOLE_SECONDS
        )
        self._loading: asyncio.Task[None] | None = None

    async def aclose(self) -> None:
        """Close all connections."""
        if self._loading is not None:
            await asyncio.wait({self._loading})
        await self._connections.aclose()

    async def tools(self, endpoint: Endpoint, seconds: float) -> tuple[ListedTool, ...]:
        """What a server offers. Raises `McpFailure`."""
        found: list[ListedTool] = []
        async with self._session(endpoint, seconds) as session:
            cursor: str | None = None
            while len(found) < MAX_TOOLS:
                page = await session.client.list_tools(cursor=cursor)
                for tool in page.tools:
                    schema = _storable(tool.input_schema, endpoint)
                    whole = tool.model_dump(mode="json", by_alias=True, exclude_none=True)
                    told = _storable(whole, endpoint)
                    description = told.get("description", "")
                    found.append(ListedTool(tool.name, description, schema, {**told, "inputSchema": schema}))
                cursor = page.next_cursor
                if cursor is None:
                    break
        return tuple(found[:MAX_TOOLS])

    async def call(
        self, endpoint: Endpoint, name: str, arguments: Mapping[str, Any], meta: Mapping[str, Any], seconds: float
    ) -> Answer:
        """Run a tool. Raises `McpFailure`."""
        async with self._session(endpoint, seconds) as session:
            result = await session.call(name, arguments, meta)
        blocks = [block.model_dump(mode="json", by_alias=True, exclude_none=True) for block in result.content]
        told = _storable([blocks, result.structured_content], endpoint)
        return Answer(tuple(told[0]), told[1], bool(result.is_error))

    @contextlib.asynccontextmanager
    async def _session(self, endpoint: Endpoint, seconds: float) -> AsyncIterator[_Session]:
        if self._loading is None:
            self._loading = asyncio.create_task(_load())
        await asyncio.shield(self._loading)
        exchange = Exchange(self._connections)
        session = _Session()
        try:
            async with asyncio.timeout(seconds), _connected(endpoint, exchange, seconds) as session.client:
                yield session
        except Exception as error:  # noqa: BLE001 - whatever a foreign server makes the SDK raise is a failure of it
            raise _failure(error, endpoint, exchange, seconds, sent=session.sent) from None


class _Session:
    client: Client

    def __init__(self) -> None:
        self.sent = False

    async def call(self, name: str, arguments: Mapping[str, Any], meta: Mapping[str, Any]) -> CallToolResult:
        from mcp.shared.exceptions import MCPError
        from mcp.types import HEADER_MISMATCH

        self.sent = True
        try:
            return await self._send(name, arguments, meta)
        except MCPError as error:
            if error.code != HEADER_MISMATCH:
                raise
        # The server did not run it: it wants arguments repeated as headers, which its listing tells.
        await self.client.list_tools()
        return await self._send(name, arguments, meta)

    async def _send(self, name: str, arguments: Mapping[str, Any], meta: Mapping[str, Any]) -> CallToolResult:
        """As `Client.call_tool`, which asks for the whole listing once the tool has run, to check its answer."""
        from mcp import types

        params = types.CallToolRequestParams(name=name, arguments=dict(arguments), _meta=dict(meta) or None)
        return await self.client.session.send_request(types.CallToolRequest(params=params), types.CallToolResult)


async def _load() -> None:
    """Import the SDK when it is first used: half a second in which the event loop must not stand still."""
    for name in _MODULES:
        await asyncio.to_thread(importlib.import_module, name)


@contextlib.asynccontextmanager
async def _connected(endpoint: Endpoint, exchange: Exchange, seconds: float) -> AsyncIterator[Client]:
    from mcp import Client
    from mcp.types import Implementation

    wait = httpx2.Timeout(CONNECT_SECONDS, read=seconds)

    def web(headers: Any = None, timeout: Any = None, auth: Any = None) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            transport=exchange, headers=dict(endpoint.headers), timeout=wait, auth=auth, trust_env=False
        )

    client = Client(
        _transport(endpoint, web),
        read_timeout_seconds=seconds,
        client_info=Implementation(name="greenline", version=VERSION),
        mode="legacy" if endpoint.transport == "SSE" else "auto",
        cache=None,
    )
    async with client:
        yield client


def _transport(endpoint: Endpoint, web: Any) -> AbstractAsyncContextManager[Any]:
    from mcp.client.sse import sse_client
    from mcp.client.streamable_http import streamable_http_client

    if endpoint.transport == "SSE":
        return sse_client(endpoint.url, httpx_client_factory=web)
    return streamable_http_client(endpoint.url, http_client=web())


def _failure(error: Exception, endpoint: Endpoint, exchange: Exchange, seconds: float, *, sent: bool) -> McpFailure:
    """``error`` in our words: those of a library may hold the address, those of the server what it was sent."""
    cause = exchange.fault or _innermost(error)
    told = endpoint.discreet(str(cause))
    match cause:
        case OutboundRefused():
            return McpFailure("mcp_refused", told, sent=False)
        case AnswerTooLarge():
            return McpFailure("mcp_too_large", f"It answered with more than {MAX_BYTES:,} bytes.", sent=sent)
        case TimeoutError() | httpx2.ReadTimeout():
            return McpFailure("mcp_timeout", f"It did not answer in {seconds:.0f} seconds.", sent=sent)
        case httpx2.TimeoutException() | httpx2.ConnectError():
            return McpFailure("mcp_unreachable", "It can't be reached.", sent=sent)
        case httpx2.TransportError():
            return McpFailure("mcp_unreachable", "The connection to it broke.", sent=sent)
    if exchange.status is not None:
        return McpFailure("mcp_unreachable", f"It answered HTTP {exchange.status}.", sent=sent)
    return _protocol_failure(cause, told, seconds, sent=sent)


def _protocol_failure(cause: BaseException, told: str, seconds: float, *, sent: bool) -> McpFailure:
    from mcp.shared.exceptions import MCPError
    from mcp.types import CONNECTION_CLOSED, REQUEST_TIMEOUT

    if not isinstance(cause, MCPError):
        return McpFailure("mcp_protocol_error", f"What it said is no MCP ({type(cause).__name__}).", sent=sent)
    if cause.code == REQUEST_TIMEOUT:
        return McpFailure("mcp_timeout", f"It did not answer in {seconds:.0f} seconds.", sent=sent)
    if cause.code == CONNECTION_CLOSED:
        return McpFailure("mcp_unreachable", "The connection to it broke.", sent=sent)
    return McpFailure("mcp_error", f"It answered with an error: {told}", sent=sent)


def _storable(value: Any, endpoint: Endpoint) -> Any:
    """JSON as every part of the system can hold it: without secrets and NUL, and with large integers as text."""
    return clean_data(_masked(json.loads(json.dumps(value), parse_int=integer_of, parse_constant=str), endpoint))


def _masked(value: Any, endpoint: Endpoint) -> Any:
    if isinstance(value, dict):
        return {name: _masked(inner, endpoint) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner, endpoint) for inner in value]
    return endpoint.masked(value) if isinstance(value, str) else value


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
