"""Frames on their way to a client, in order and bounded: a client that does not read must not fill the memory."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import orjson

from greenline.channels.socket.server_messages import Frame

Send: TypeAlias = Callable[[str], Awaitable[None]]

MAX_BYTES: Final = 8_388_608
"""What waits for one client at most: a minute of speech at 48 kHz, of which 40 s are sent ahead of their playback."""
MAX_FRAMES: Final = 5_000


class Outgoing:
    """A queue that one task empties. `put` never waits; ``overflowed`` is set when the client is too slow."""

    def __init__(self, *, max_bytes: int = MAX_BYTES, max_frames: int = MAX_FRAMES) -> None:
        self._max_bytes = max_bytes
        self._max_frames = max_frames
        self._waiting: deque[tuple[str, bool]] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self.overflowed = asyncio.Event()

    @property
    def waiting_bytes(self) -> int:
        """What was put and not sent yet."""
        return self._bytes

    def put(self, frame: Frame, *, audio: bool = False) -> None:
        """Queue a frame. ``audio`` may be dropped again as long as it waits."""
        if self.overflowed.is_set():
            return
        text = orjson.dumps(frame).decode()
        if self._bytes + len(text) > self._max_bytes or len(self._waiting) >= self._max_frames:
            self.overflowed.set()
            return
        self._waiting.append((text, audio))
        self._bytes += len(text)
        self._news.set()

    def drop_audio(self) -> None:
        """Take back the audio that was not sent yet."""
        kept = [(text, audio) for text, audio in self._waiting if not audio]
        self._bytes = sum(len(text) for text, _ in kept)
        self._waiting = deque(kept)

    async def run(self, send: Send) -> None:
        """Send what comes, for ever. Raises what ``send`` raises when the client has gone."""
        while True:
            await self.drain(send)
            self._news.clear()
            await self._news.wait()

    async def drain(self, send: Send) -> None:
        """Send what waits."""
        while self._waiting:
            text, _ = self._waiting.popleft()
            self._bytes -= len(text)
            await send(text)
