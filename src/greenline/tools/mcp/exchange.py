"""The guard's connections as one session of the MCP SDK uses them.

The SDK closes the client that it is given, words errors as it likes and swallows some: here the connections stay open
for the next session, and what went wrong first is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import httpx2

FAREWELL_SECONDS: Final = 2.0
"""How long a session may take to end (``DELETE``): one that a person has cut short must not wait for its server."""


class Exchange(httpx2.AsyncBaseTransport):
    """``fault`` is the first error of a connection, ``status`` the last refusal by HTTP."""

    def __init__(self, connections: httpx2.AsyncBaseTransport) -> None:
        self._connections = connections
        self.fault: httpx2.HTTPError | None = None
        self.status: int | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send through the guard."""
        try:
            async with asyncio.timeout(FAREWELL_SECONDS if request.method == "DELETE" else None):
                response = await self._connections.handle_async_request(request)
        except httpx2.HTTPError as error:
            self.note(error)
            raise
        self.status = response.status_code if response.status_code >= 400 else None
        if not isinstance(response.stream, httpx2.AsyncByteStream):
            raise TypeError("the guard's answers are asynchronous")
        return httpx2.Response(
            status_code=response.status_code,
            headers=response.headers,
            stream=_Body(response.stream, self),
            extensions=response.extensions,
        )

    def note(self, error: httpx2.HTTPError) -> None:
        """The first error is the cause of the others."""
        self.fault = self.fault or error

    async def aclose(self) -> None:
        """The connections are not this session's."""


class _Body(httpx2.AsyncByteStream):
    def __init__(self, body: httpx2.AsyncByteStream, exchange: Exchange) -> None:
        self._body = body
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._body:
                yield part
        except httpx2.HTTPError as error:
            self._exchange.note(error)
            raise

    async def aclose(self) -> None:
        await self._body.aclose()
