"""The agent's voice on a track: written ahead, played in real time, and taken back when the person interrupts."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from greenline.channels.socket.outgoing import Outgoing
from greenline.channels.socket.server_messages import audio
from greenline.speech.models import Alignment

RATE: Final = 48_000
PIECE_BYTES: Final = RATE * 2 // 25
"""40 ms: what the track takes at a time."""


class Track(Protocol):
    """Plays PCM at `RATE`."""

    @property
    def queued(self) -> float:
        """Seconds that it holds and has not played."""
        ...

    async def play(self, pcm: bytes) -> None:
        """Add to what is played; waits while it holds enough."""
        ...

    def clear(self) -> None:
        """Forget what was not played."""
        ...


class RoomVoice:
    """`greenline.channels.live.models.AudioOut` on a track; with ``shows`` the client gets alignments as messages."""

    def __init__(self, track: Track, outgoing: Outgoing, *, shows: bool) -> None:
        self._track = track
        self._outgoing = outgoing
        self._shows = shows
        self._speech: deque[memoryview] = deque()
        self._unplayed = 0
        """Bytes in ``_speech``."""
        self._news = asyncio.Event()
        self._tell_sounding: Callable[[], None] | None = None

    @property
    def rate(self) -> int:
        """Samples a second that `write` takes."""
        return RATE

    @property
    def queued(self) -> float:
        """Seconds that were written and not yet played."""
        return self._unplayed / 2 / RATE + self._track.queued

    def write(self, pcm: bytes, event_id: int, alignment: Alignment | None = None) -> None:
        """Add speech of the turn ``event_id``; may run ahead of real time."""
        if pcm:
            self._speech.append(memoryview(pcm))
            self._unplayed += len(pcm)
            self._news.set()
        if alignment is not None and self._shows:
            self._outgoing.put(audio(b"", event_id, alignment), audio=True)

    def once_sounding(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` when the next sound is given to the track, which sends it within 10 ms."""
        self._tell_sounding = tell

    def when_held_up(self, tell: Callable[[float], None]) -> None:
        """Never told: LiveKit's track does not say when it stood still."""

    def clear(self) -> float:
        """Stop at once; returns the seconds that were not played."""
        left = self.queued
        self._tell_sounding = None
        self._speech.clear()
        self._unplayed = 0
        self._track.clear()
        self._outgoing.drop_audio()
        return left

    async def run(self) -> None:
        """Play what is written, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._speech:
                piece = self._take()
                if self._tell_sounding is not None:
                    tell, self._tell_sounding = self._tell_sounding, None
                    tell()
                await self._track.play(piece)

    def _take(self) -> bytes:
        piece = self._speech.popleft()
        if len(piece) > PIECE_BYTES:
            self._speech.appendleft(piece[PIECE_BYTES:])
            piece = piece[:PIECE_BYTES]
        self._unplayed -= len(piece)
        return bytes(piece)
