"""How much a client may send: enough for a person and a microphone, too little to keep a server busy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from greenline.channels.socket.client_messages import (
    AudioChunk,
    ClientMessage,
    ContextualUpdate,
    Feedback,
    MultimodalMessage,
    UserMessage,
)
from greenline.channels.socket.errors import TooFast

FRAMES_PER_SECOND: Final = 200.0
"""Sound in pieces of 10 ms makes 100."""
FRAMES_AT_ONCE: Final = 2_000
TURNS_PER_SECOND: Final = 5.0
"""Each asks a model: well above what a person types."""
TURNS_AT_ONCE: Final = 50
AUDIO_SPEED: Final = 4.0
"""Seconds of sound in a second: a client may catch up after a gap, and may not send a day of sound."""
AUDIO_AT_ONCE: Final = 120.0
TEXT_PER_SECOND: Final = 32_768.0
"""Characters. All that is said stays in memory and goes to the model again with each turn."""
TEXT_AT_ONCE: Final = 1_000_000.0
WORDS_WAITING: Final = 4_194_304
"""Characters of messages without sound that may wait to be worked on, as they do behind sound that comes too fast: a
few of the largest that are taken."""
IN_TIME_SECONDS: Final = 1.5
"""How much sound may come at once before it counts as faster than it plays: networks stall and catch up."""
WAITING_SECONDS: Final = 0.5
"""What comes too fast may wait so long for its turn: it is not missing meanwhile."""
DRIFT: Final = 1.05
"""No two clocks run alike."""
PIECE_SECONDS: Final = 0.064
"""Two windows of the detector: 3 ms of noise, in which nobody else is served."""


class Bucket:
    """Refills at ``rate`` a second up to ``size``."""

    def __init__(self, rate: float, size: float, now: Callable[[], float]) -> None:
        self._rate = rate
        self._size = size
        self._now = now
        self._level = float(size)
        self._at = now()

    def take(self, amount: float = 1.0) -> bool:
        """Take ``amount`` out if it is there."""
        now = self._now()
        self._level = min(self._size, self._level + (now - self._at) * self._rate)
        self._at = now
        if self._level < amount:
            return False
        self._level -= amount
        return True


class Limits:
    """The buckets of one connection. ``bytes_per_second`` is that of the input format."""

    def __init__(self, bytes_per_second: int, now: Callable[[], float]) -> None:
        self._bytes_per_second = bytes_per_second
        self._frames = Bucket(FRAMES_PER_SECOND, FRAMES_AT_ONCE, now)
        self._turns = Bucket(TURNS_PER_SECOND, TURNS_AT_ONCE, now)
        self._audio = Bucket(AUDIO_SPEED, AUDIO_AT_ONCE, now)
        self._text = Bucket(TEXT_PER_SECOND, TEXT_AT_ONCE, now)
        self._in_time = Bucket(DRIFT, IN_TIME_SECONDS, now)

    def check(self, message: ClientMessage) -> None:
        """Count a message. Raises `greenline.channels.socket.errors.TooFast`."""
        allowed = self._frames.take()
        if isinstance(message, AudioChunk):
            allowed = allowed and self._audio.take(len(message.audio) / self._bytes_per_second)
        elif isinstance(message, UserMessage | MultimodalMessage | ContextualUpdate):
            allowed = allowed and self._turns.take() and self._text.take(len(_text(message)))
        elif isinstance(message, Feedback):
            allowed = allowed and self._turns.take()
        if not allowed:
            raise TooFast

    @property
    def sound_waiting(self) -> int:
        """Bytes of sound that may wait to be worked on."""
        return int(AUDIO_AT_ONCE * self._bytes_per_second)

    def pieces(self, message: AudioChunk) -> Iterator[tuple[AudioChunk, bool]]:
        """The sound in parts of `PIECE_SECONDS`, and whether each came faster than it plays, as it is asked for."""
        whole, size = len(message.audio), int(self._bytes_per_second * PIECE_SECONDS)
        for at in range(0, max(whole, 1), size):
            part = message.audio[at : at + size]
            ahead = not self._in_time.take(len(part) / self._bytes_per_second)
            seconds = max(whole / self._bytes_per_second, WAITING_SECONDS if ahead else 0.0)
            yield AudioChunk(audio=part, of_seconds=seconds), ahead


def _text(message: UserMessage | MultimodalMessage | ContextualUpdate) -> str:
    if isinstance(message, MultimodalMessage):
        return (message.text.text or "") if message.text else ""
    return message.text or ""
