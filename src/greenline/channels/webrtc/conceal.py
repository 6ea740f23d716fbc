"""What is heard where a packet was lost: the sound before it goes on for a moment, and fades.

Silence in its place would be a pause that nobody made: a detector of voice takes up to a quarter of a second to
believe in the voice again, and a recogniser hears another word. FFmpeg gives no access to the concealment of Opus, so
that this is the simple way of G.711, appendix I: the last pitch period over and over.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from greenline.channels.webrtc.opus import RATE

FADE_SECONDS: Final = 0.06
"""After this, silence: what goes on for longer sounds like a machine (G.711, appendix I)."""
_PERIODS: Final = (RATE // 400, RATE // 66)
"""Samples of a pitch period, from the highest voice to the lowest."""
_COMPARED: Final = RATE // 100
"""Samples over which the sound is compared with itself."""
_KEPT: Final = _COMPARED + _PERIODS[1]
_FADE: Final = int(FADE_SECONDS * RATE)


class Concealment:
    """Knows the sound before a hole."""

    def __init__(self) -> None:
        self._before: NDArray[np.int16] = np.zeros(0, np.int16)

    def hear(self, pcm: bytes) -> None:
        """Sound as it came."""
        self._before = np.concatenate([self._before[-_KEPT:], np.frombuffer(pcm, "<i2")])[-_KEPT:]

    def fill(self, length: int) -> bytes:
        """``length`` bytes in the place of what was lost."""
        count = length // 2
        if len(self._before) < _KEPT:
            return bytes(length)
        period = self._before[-self._period() :]
        sound = np.resize(period, min(count, _FADE)) * (1 - np.arange(min(count, _FADE)) / _FADE)
        return sound.astype("<i2").tobytes().ljust(length, b"\0")

    def _period(self) -> int:
        """The lag at which the sound resembles itself most; the longest for what has no pitch."""
        sound = self._before.astype(np.float64)
        last, shortest, longest = sound[-_COMPARED:], *_PERIODS
        earlier = np.lib.stride_tricks.sliding_window_view(sound, _COMPARED)[: longest - shortest + 1]
        energy = np.sqrt(np.sum(earlier**2, axis=1))
        likeness: NDArray[Any] = np.divide(earlier @ last, energy, out=np.zeros_like(energy), where=energy > 0)
        return longest - int(np.argmax(likeness))
