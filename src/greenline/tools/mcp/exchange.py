"""The guard's connections as one session of the MCP SDK uses them.

The SDK closes the client that it is given, words errors as it likes, swallows some, and refuses a whole message for a
part that is nested too deeply: here the connections stay open for the next session, what went wrong first is kept,
and that part is left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

import httpx2

from greenline.tools.mcp.shallow import Shallow

MAX_BYTES: Final = 1_048_576
"""Largest answer: the SDK's own limit for an event, and more than a model could take in."""
FAREWELL_SECONDS: Final = 2.0
"""How long a session may take to end (``DELETE``): nobody waits for it, but it holds a connection."""

STREAM_SECONDS: Final = 0.5
"""At least between two streams of events: a server may end each at once and ask for the next one at once, and the SDK
obeys for as long as the session lasts."""


class Exchange(httpx2.AsyncBaseTransport):
    """``fault`` is the first error of a connection, ``status`` the last refusal by HTTP.

    Neither tells of what a session does beside its requests, which a server may refuse: the farewell, and with
    ``listens`` the stream (``GET``) on which a server could say something of its own accord. ``failed`` is called for
    each of them: where answers come on a stream, the SDK waits for that to one that the server did not take.
    """

    def __init__(self, connections: httpx2.AsyncBaseTransport, *, listens: bool) -> None:
        self._connections = connections
        self._listens = listens
        self._next_stream_at = 0.0
        self.fault: httpx2.HTTPError | None = None
        self.status: int | None = None
        self.failed: Callable[[], None] = lambda: None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send through the guard."""
        if request.method == "DELETE":
            return await self._farewell(request)
        if request.method == "GET":
            await self._pause()
            if self._listens:
                return await self._connections.handle_async_request(request)
        try:
            response = await self._connections.handle_async_request(request)
        except httpx2.HTTPError as error:
            self.note(error)
            raise
        self.status = response.status_code if response.status_code >= 400 else None
        if self.status is not None:
            self.failed()
        if not isinstance(response.stream, httpx2.AsyncByteStream):
            raise TypeError("the guard's answers are asynchronous")
        return httpx2.Response(
            status_code=response.status_code,
            headers=response.headers,
            stream=_Body(response.stream, self, _shallow(response)),
            extensions=response.extensions,
        )

    async def _farewell(self, request: httpx2.Request) -> httpx2.Response:
        async with asyncio.timeout(FAREWELL_SECONDS):
            response = await self._connections.handle_async_request(request)
            await response.aclose()
        return httpx2.Response(response.status_code)

    async def _pause(self) -> None:
        """Wait until another stream may be opened."""
        now = asyncio.get_running_loop().time()
        begins = max(now, self._next_stream_at)
        self._next_stream_at = begins + STREAM_SECONDS
        await asyncio.sleep(begins - now)

    def forget(self) -> None:
        """What went wrong so far hinders nothing: the SDK has found another way."""
        self.fault = self.status = None

    def note(self, error: httpx2.HTTPError) -> None:
        """The first error is the cause of the others."""
        self.fault = self.fault or error
        self.failed()

    async def aclose(self) -> None:
        """The connections are not this session's."""


def _shallow(response: httpx2.Response) -> Shallow:
    return Shallow(events=response.headers.get("content-type", "").startswith("text/event-stream"))


class _Body(httpx2.AsyncByteStream):
    def __init__(self, body: httpx2.AsyncByteStream, exchange: Exchange, shallow: Shallow) -> None:
        self._body = body
        self._exchange = exchange
        self._shallow = shallow

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for part in self._body:
                yield self._shallow.take(part)
        except httpx2.HTTPError as error:
            self._exchange.note(error)
            raise

    async def aclose(self) -> None:
        await self._body.aclose()
