"""Frames of one client: in, out, and the last one. Knows nothing of conversations."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from greenline.channels.socket.client_messages import AudioChunk, ClientMessage, EnclaveSetup, Initiation, parse
from greenline.channels.socket.errors import (
    OWN_AGENT,
    ClientLeft,
    InvalidMessage,
    SocketClosed,
    TooLarge,
    TooSlow,
    short_reason,
)
from greenline.channels.socket.outgoing import Outgoing
from greenline.channels.socket.server_messages import error

START_SECONDS: Final = 15.0
"""Time for the first message, which clients send at once."""
CLOSE_SECONDS: Final = 2.0
"""Time for a client to take what was still to be said, and the close frame."""


class Connection(Protocol):
    """What carries the frames of a client. Everything raises `ClientLeft` once the client has gone."""

    @property
    def is_open(self) -> bool:
        """Whether frames can be sent."""
        ...

    async def receive(self) -> str:
        """The next frame. Raises `InvalidMessage` for one that is no text."""
        ...

    async def send(self, frame: str) -> None:
        """Send a frame."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Say goodbye."""
        ...


_GONE: Final = (WebSocketDisconnect, RuntimeError)
"""What sending raises: the second where the server has closed by itself, as its pings were not answered."""


class SocketConnection:
    """The frames of a WebSocket that was accepted."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    @property
    def is_open(self) -> bool:
        """Whether neither side has closed."""
        return self._websocket.client_state is WebSocketState.CONNECTED

    async def receive(self) -> str:
        """The next frame. Raises `InvalidMessage` for a binary one."""
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise ClientLeft
        text: str | None = message.get("text")
        if text is None:
            raise InvalidMessage("Binary frames are not used: send JSON in text frames.")
        return text

    async def send(self, frame: str) -> None:
        """Send a text frame."""
        try:
            await self._websocket.send_text(frame)
        except _GONE:
            raise ClientLeft from None

    async def close(self, code: int, reason: str) -> None:
        """Send the close frame."""
        with contextlib.suppress(*_GONE):
            await self._websocket.close(code, short_reason(reason))


class Wire:
    """A client that was accepted."""

    def __init__(self, connection: Connection, *, max_bytes: int) -> None:
        self._connection = connection
        self._max_bytes = max_bytes
        self.outgoing = Outgoing()

    async def receive(self) -> ClientMessage:
        """The next message. Raises `greenline.channels.socket.errors.InvalidMessage`, and as `receive_text` does."""
        return parse(await self.receive_text())

    async def receive_text(self) -> str:
        """The next frame. Raises `TooLarge`, and as `Connection.receive` does."""
        text = await self._connection.receive()
        if len(text) > self._max_bytes:
            raise TooLarge(self._max_bytes)
        return text

    async def setup(self) -> EnclaveSetup | None:
        """The first message of a client that may bring its agent; None for others. Raises as `receive` does."""
        message = await self._first("enclave_setup_config")
        return message if isinstance(message, EnclaveSetup) else None

    async def initiation(self) -> Initiation:
        """The start data; sound that a client sends before it is passed over. Raises as `receive` does."""
        message = await self._first("conversation_initiation_client_data")
        if isinstance(message, EnclaveSetup):
            raise InvalidMessage(OWN_AGENT)
        if not isinstance(message, Initiation):
            raise InvalidMessage("The first message must be conversation_initiation_client_data.")
        return message

    async def _first(self, expected: str) -> ClientMessage:
        """The next message that is no sound."""
        try:
            async with asyncio.timeout(START_SECONDS):
                while isinstance(message := await self.receive(), AudioChunk):
                    pass
        except TimeoutError:
            raise InvalidMessage(f"No {expected} came.", "missing_fields") from None
        return message

    async def send_all(self) -> None:
        """Send what is put into ``outgoing``, until the client has gone or reads too slowly."""
        sending = asyncio.create_task(self.outgoing.run(self._connection.send))
        slow = asyncio.create_task(self.outgoing.overflowed.wait())
        try:
            await asyncio.wait({sending, slow}, return_when=asyncio.FIRST_COMPLETED)
            if slow.done():
                raise TooSlow
            await sending
        finally:
            for task in (sending, slow):
                task.cancel()
            await asyncio.gather(sending, slow, return_exceptions=True)

    async def close(self, closed: SocketClosed | None, *, code: int, reason: str) -> None:
        """Say goodbye: what still waits, an ``error`` that gives the cause of a failure, the close frame.

        A client that takes none of it within `CLOSE_SECONDS` is left without.
        """
        if not self._connection.is_open:
            return
        if self.outgoing.overflowed.is_set():
            self.outgoing = Outgoing()
        if closed is not None:
            self.outgoing.put(error(closed))
        with contextlib.suppress(ClientLeft, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.outgoing.drain(self._connection.send)
                await self._connection.close(code, reason)
