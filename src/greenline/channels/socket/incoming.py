"""What a client sends, in order: read and measured by its limits at once, worked on in its turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from greenline.channels.socket.client_messages import AudioChunk, ClientMessage, parse
from greenline.channels.socket.errors import ClientLeft, SocketClosed, TooFast
from greenline.channels.socket.limits import WORDS_WAITING, Limits
from greenline.channels.socket.wire import Wire


@dataclass(frozen=True, slots=True)
class _Read:
    """A message, in bytes of sound or in characters of anything else."""

    message: ClientMessage
    sound: int
    words: int


class Incoming:
    """The messages of one client. What waits is bounded by the limits."""

    def __init__(self, wire: Wire, limits: Limits) -> None:
        self._wire = wire
        self._limits = limits
        self._waiting: asyncio.Queue[_Read | ClientLeft | SocketClosed] = asyncio.Queue()
        self._sound = self._words = 0
        """What waits, as in `_Read`."""
        self._over = False

    async def read(self) -> None:
        """Read for ever. Raises `TooFast`; whatever else ends the reading comes to an end in `messages`."""
        try:
            while True:
                read = _read(await self._wire.receive_text())
                self._limits.check(read.message)
                self._sound += read.sound
                self._words += read.words
                if self._sound > self._limits.sound_waiting or self._words > WORDS_WAITING:
                    raise TooFast
                self._waiting.put_nowait(read)
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
            read = await self._waiting.get()
            if isinstance(read, ClientLeft | SocketClosed):
                raise read
            self._sound -= read.sound
            self._words -= read.words
            if not (self._over and isinstance(read.message, AudioChunk)):
                yield read.message


def _read(frame: str) -> _Read:
    message = parse(frame)
    return _Read(message, len(message.audio), 0) if isinstance(message, AudioChunk) else _Read(message, 0, len(frame))
