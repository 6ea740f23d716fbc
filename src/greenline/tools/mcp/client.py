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
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakValueDictionary

import httpx2
import structlog

from greenline.llm.calls import integer_of
from greenline.settings import Settings
from greenline.text import clean_data
from greenline.tools.guard import Allowance, GuardedTransport
from greenline.tools.mcp.endpoint import Endpoint
from greenline.tools.mcp.exchange import FAREWELL_SECONDS, MAX_BYTES, Exchange
from greenline.tools.mcp.failures import BUSY, McpFailure, failure_of

if TYPE_CHECKING:
    from mcp import Client, types
    from mcp.types import CallToolResult

WHOLE_SECONDS: Final = 330.0
"""Longest exchange: the longest call that may be configured (300 s), and time to connect."""
CONNECT_SECONDS: Final = 10.0
MAX_SESSIONS: Final = 50
"""Sessions of a workspace at a time, of two connections each: its slow servers hold up no other workspace."""
MAX_CONNECTIONS: Final = 1_000
"""Of all workspaces: more than nine with nothing but slow servers can hold."""
_MODULES: Final = ("mcp", "mcp.client.sse", "mcp.client.streamable_http")
VERSION: Final = version("greenline")
MAX_TOOLS: Final = 500
"""Tools that are read of one server; a model is offered far fewer."""
MAX_PAGES: Final = 100
"""Of a listing, which may be empty, and without end."""
MAX_TOOL_BYTES: Final = 131_072
"""Of one tool: four times the largest input schema that is offered. All tools of a server may have `MAX_BYTES`."""
T = TypeVar("T")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ListedTool:
    """A tool as its server describes it."""

    name: str
    description: str = ""
    input_schema: Mapping[str, Any] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)
    """All of it, as JSON."""
    size: int = 0
    """Of all of it, in bytes."""


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
            Allowance(settings.outbound_allow),
            max_bytes=MAX_BYTES,
            whole_seconds=WHOLE_SECONDS,
            max_connections=MAX_CONNECTIONS,
        )
        self._loading: asyncio.Task[None] | None = None
        self._sessions: set[asyncio.Task[None]] = set()
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        """By workspace; a session holds its own."""

    async def aclose(self) -> None:
        """Let sessions leave, and close all connections."""
        if self._sessions:
            _, late = await asyncio.wait(self._sessions, timeout=FAREWELL_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._loading is not None:
            await asyncio.wait({self._loading})
        await self._connections.aclose()

    async def load(self) -> None:
        """Import the SDK, once. Who counts the seconds of a server waits for it first."""
        if self._loading is None:
            self._loading = asyncio.create_task(_load())
        await asyncio.shield(self._loading)

    async def tools(self, endpoint: Endpoint, seconds: float) -> tuple[ListedTool, ...]:
        """What a server offers, as far as it is kept. Raises `McpFailure`."""

        async def ask(session: _Session) -> tuple[ListedTool, ...]:
            found: list[ListedTool] = []
            left, cursor = MAX_BYTES, None
            for _ in range(MAX_PAGES):
                page = await session.client.list_tools(cursor=cursor)
                for tool in page.tools:
                    listed = _listed(tool, endpoint)
                    if listed.size > MAX_TOOL_BYTES:
                        log.warning("mcp.tool_too_large", tool=endpoint.discreet(tool.name), bytes=listed.size)
                        continue
                    left -= listed.size
                    if left < 0:
                        log.warning("mcp.too_many_tools", tools=len(found), bytes=MAX_BYTES)
                        break
                    found.append(listed)
                cursor = page.next_cursor
                if cursor is None or left <= 0 or len(found) >= MAX_TOOLS:
                    break
            return tuple(found[:MAX_TOOLS])

        return await self._in_session(endpoint, seconds, ask)

    async def call(
        self, endpoint: Endpoint, name: str, arguments: Mapping[str, Any], meta: Mapping[str, Any], seconds: float
    ) -> Answer:
        """Run a tool. Raises `McpFailure`."""

        async def ask(session: _Session) -> Answer:
            result = await session.call(name, arguments, meta)
            blocks = [block.model_dump(mode="json", by_alias=True, exclude_none=True) for block in result.content]
            told = _storable([blocks, result.structured_content], endpoint)
            return Answer(tuple(told[0]), told[1], bool(result.is_error))

        return await self._in_session(endpoint, seconds, ask)

    async def _in_session(self, endpoint: Endpoint, seconds: float, ask: Callable[[_Session], Awaitable[T]]) -> T:
        """What ``ask`` finds, as soon as it is there: the session, which is a task of its own, ends behind it.

        Whoever stops waiting ends the session, and does not wait for that either.
        """
        await self.load()
        on_stream = endpoint.transport == "SSE"
        exchange = Exchange(self._connections, listens=not on_stream)
        session = _Session(endpoint, exchange, seconds)
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        turn = self._turns.setdefault(endpoint.workspace_id, asyncio.Semaphore(MAX_SESSIONS))
        task = asyncio.create_task(session.run(turn, ask, answer))
        self._sessions.add(task)
        task.add_done_callback(self._sessions.discard)

        def has_failed() -> None:
            if not answer.done():
                answer.set_exception(session.failure(ConnectionError()))
                task.cancel()

        if on_stream:
            exchange.failed = has_failed
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError as error:
            raise session.failure(error) from None
        finally:
            if answer.cancelled():
                task.cancel()


class _Session:
    """One session; ``began`` is whether it has had its turn, ``sent`` whether a call may have reached the server."""

    client: Client

    def __init__(self, endpoint: Endpoint, exchange: Exchange, seconds: float) -> None:
        self._endpoint = endpoint
        self._exchange = exchange
        self._seconds = seconds
        self.began = False
        self.sent = False

    async def run(
        self, turn: asyncio.Semaphore, ask: Callable[[_Session], Awaitable[T]], answer: asyncio.Future[T]
    ) -> None:
        """Connect, ask, and leave once ``answer`` is given: what goes wrong then is of no consequence."""
        try:
            async with turn:
                self.began = True
                async with _connected(self._endpoint, self._exchange, self._seconds) as self.client:
                    await self._answer(ask, answer)
        except Exception as error:  # noqa: BLE001 - the boundary of a foreign server: a failure of it
            if answer.done():
                log.info("mcp.left_badly", reason=type(error).__name__)
            else:
                answer.set_exception(self.failure(error))
        finally:
            if not answer.done():
                answer.set_exception(McpFailure("mcp_unreachable", "The session was ended.", sent=self.sent))

    async def _answer(self, ask: Callable[[_Session], Awaitable[T]], answer: asyncio.Future[T]) -> None:
        try:
            found = await ask(self)
        except Exception as error:  # noqa: BLE001 - as in `run`
            if not answer.done():
                answer.set_exception(self.failure(error))
        else:
            if not answer.done():
                answer.set_result(found)

    def failure(self, error: Exception) -> McpFailure:
        """``error`` in our words."""
        if isinstance(error, TimeoutError) and not self.began:
            return McpFailure("mcp_busy", BUSY)
        return failure_of(error, self._endpoint, self._exchange, self._seconds, sent=self.sent)

    async def call(self, name: str, arguments: Mapping[str, Any], meta: Mapping[str, Any]) -> CallToolResult:
        from mcp.shared.exceptions import MCPError
        from mcp.types import HEADER_MISMATCH

        self._exchange.forget()
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


def _listed(tool: types.Tool, endpoint: Endpoint) -> ListedTool:
    schema = _storable(tool.input_schema, endpoint)
    whole = _storable(tool.model_dump(mode="json", by_alias=True, exclude_none=True), endpoint)
    told = {**whole, "inputSchema": schema}
    return ListedTool(tool.name, whole.get("description", ""), schema, told, len(json.dumps(told)))


def _storable(value: Any, endpoint: Endpoint) -> Any:
    """JSON as every part of the system can hold it: without secrets and NUL, and with large integers as text."""
    return clean_data(_masked(json.loads(json.dumps(value), parse_int=integer_of, parse_constant=str), endpoint))


def _masked(value: Any, endpoint: Endpoint) -> Any:
    if isinstance(value, dict):
        return {name: _masked(inner, endpoint) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner, endpoint) for inner in value]
    return endpoint.masked(value) if isinstance(value, str) else value
