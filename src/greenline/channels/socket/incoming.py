"""What a client sends, in order: read and measured by its limits at once, worked on in its turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from greenline.channels.socket.client_messages import AudioChunk, ClientMessage
from greenline.channels.socket.errors import ClientLeft, SocketClosed, TooFast
from greenline.channels.socket.limits import Limits
from greenline.channels.socket.wire import Wire


class Incoming:
    """The messages of one client. What waits is bounded by the limits."""

    def __init__(self, wire: Wire, limits: Limits) -> None:
        self._wire = wire
        self._limits = limits
        self._waiting: asyncio.Queue[ClientMessage | ClientLeft | SocketClosed] = asyncio.Queue()
        self._sound = 0
        """Bytes that wait."""
        self._over = False

    async def read(self) -> None:
        """Read for ever. Raises `TooFast`; whatever else ends the reading comes to an end in `messages`."""
        try:
            while True:
                message = await self._wire.receive()
                self._limits.check(message)
                self._sound += _sound(message)
                if self._sound > self._limits.most_waiting:
                    raise TooFast
                self._waiting.put_nowait(message)
                await asyncio.sleep(0)  # a socket that is full gives its frames at once: others come between them
        except TooFast:
            raise
        except (ClientLeft, SocketClosed) as end:
            self._over = True
            self._waiting.put_nowait(end)
        await asyncio.Event().wait()

    async def messages(self) -> AsyncIterator[ClientMessage]:
        """Those that were read. Raises what ended the reading, after all words; sound that waits is left out then."""
        while True:
            message = await self._waiting.get()
            if isinstance(message, ClientLeft | SocketClosed):
                raise message
            self._sound -= _sound(message)
            if not (self._over and isinstance(message, AudioChunk)):
                yield message


def _sound(message: ClientMessage) -> int:
    """Bytes of sound."""
    return len(message.audio) if isinstance(message, AudioChunk) else 0
