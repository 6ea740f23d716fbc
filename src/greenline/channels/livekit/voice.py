"""The agent's voice on a track: written ahead, played in real time, and taken back when the person interrupts."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from greenline.channels.socket.outgoing import Outgoing
from greenline.channels.socket.server_messages import audio
from greenline.speech.models import Alignment

RATE: Final = 48_000
PIECE_BYTES: Final = RATE * 2 // 25
"""40 ms: what the track takes at a time."""
LARGEST_LAG_SECONDS: Final = 0.05
"""Who gives the track its next piece so late lets it fall silent: it holds five of them."""


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
    """`greenline.channels.live.models.AudioOut` on a track; with ``shows`` the client gets alignments as messages.

    ``now`` counts seconds.
    """

    def __init__(
        self, track: Track, outgoing: Outgoing, *, shows: bool, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._track = track
        self._outgoing = outgoing
        self._shows = shows
        self._now = now
        self._speech: deque[memoryview] = deque()
        self._unplayed = 0
        """Bytes in ``_speech``."""
        self._news = asyncio.Event()
        self._tell_sounding: Callable[[], None] | None = None
        self._tell_held_up: Callable[[float], None] | None = None
        self._silent_from = 0.0
        """When the track has played all that it was given, while more of it waits here."""

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
        self._catch_up()
        if pcm:
            if not self._speech:
                self._silent_from = self._now() + self._track.queued
            self._speech.append(memoryview(pcm))
            self._unplayed += len(pcm)
            self._news.set()
        if alignment is not None and self._shows:
            self._outgoing.put(audio(b"", event_id, alignment), audio=True)

    def once_sounding(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` when the next sound is given to the track, which sends it within 10 ms."""
        self._tell_sounding = tell

    def when_held_up(self, tell: Callable[[float], None]) -> None:
        """Call ``tell`` with the seconds for which the track was silent since it was given nothing."""
        self._tell_held_up = tell

    def clear(self) -> float:
        """Stop at once; returns the seconds that were not played."""
        self._catch_up()
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
                self._catch_up()
                piece = self._take()
                self._silent_from = self._now() + self._track.queued + len(piece) / 2 / RATE
                if self._tell_sounding is not None:
                    tell, self._tell_sounding = self._tell_sounding, None
                    tell()
                await self._track.play(piece)

    def _catch_up(self) -> None:
        """After a stall of the process: the track goes on meanwhile with what it has, and no longer."""
        held_up = self._now() - self._silent_from
        if not self._speech or held_up <= LARGEST_LAG_SECONDS:
            return
        self._silent_from += held_up
        if self._tell_held_up is not None:
            self._tell_held_up(held_up)

    def _take(self) -> bytes:
        piece = self._speech.popleft()
        if len(piece) > PIECE_BYTES:
            self._speech.appendleft(piece[PIECE_BYTES:])
            piece = piece[:PIECE_BYTES]
        self._unplayed -= len(piece)
        return bytes(piece)
