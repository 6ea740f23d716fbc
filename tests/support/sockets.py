"""A bare client of the server's sockets, for what the official clients hide."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from support.wait import PATIENCE_SECONDS

Frame: TypeAlias = dict[str, Any]


class SocketClient:
    """Sends and receives JSON. ``seen`` is everything that came, in order."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.seen: list[Frame] = []

    async def send(self, **message: Any) -> None:
        """A message of the client."""
        await self.connection.send(json.dumps(message))

    async def begin(self, **data: Any) -> Frame:
        """The initiation; returns the first frame."""
        await self.send(type="conversation_initiation_client_data", **data)
        return await self.next()

    async def next(self, seconds: float = PATIENCE_SECONDS) -> Frame:
        """The next frame. Raises websockets' ``ConnectionClosed`` at the end."""
        async with asyncio.timeout(seconds):
            frame: Frame = json.loads(await self.connection.recv())
        self.seen.append(frame)
        return frame

    async def until(
        self, kind: str, matches: Callable[[Frame], bool] = lambda frame: True, seconds: float = PATIENCE_SECONDS
    ) -> Frame:
        """The next frame of a type, whatever comes before it."""
        async with asyncio.timeout(seconds):
            while True:
                frame = await self.next(seconds)
                if frame.get("type") == kind and matches(frame):
                    return frame

    async def closed(self) -> tuple[int, str]:
        """Read on to the end; the close frame's code and reason."""
        with pytest.raises(ConnectionClosed) as caught:
            await self._exhaust()
        frame = caught.value.rcvd
        assert frame is not None, self.seen
        return frame.code, frame.reason

    async def _exhaust(self) -> None:
        while True:
            await self.next()

    def kinds(self) -> list[str]:
        """The types of what came, in order."""
        return [str(frame.get("type")) for frame in self.seen]


@contextlib.asynccontextmanager
async def client(url: str, path: str, **options: Any) -> AsyncIterator[SocketClient]:
    """A connection to a server at ``url`` (http); ``options`` are those of websockets' ``connect``."""
    address = path if path.startswith("ws") else f"ws{url.removeprefix('http')}{path}"
    async with connect(address, proxy=None, max_size=2**24, **options) as connection:
        yield SocketClient(connection)
