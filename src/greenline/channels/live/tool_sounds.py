"""What is heard while a tool runs (reference: ``tool_call_sound``): made here, and soft enough to speak over."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from greenline.speech.models import HEARING_RATE

SECONDS: Final = 4.0
"""Of a sound, which is heard over and over."""
_KEYS_A_SECOND: Final = 7.0
_CLICK_SECONDS: Final = 0.02
_CLICK_VOLUME: Final = 0.12
_CHORDS: Final = {
    "elevator1": (261.6, 329.6, 392.0, 493.9),
    "elevator2": (220.0, 277.2, 329.6, 415.3),
    "elevator3": (196.0, 246.9, 293.7, 370.0),
    "elevator4": (174.6, 220.0, 261.6, 329.6),
}
"""Hertz of the notes that are played one after the other, up and down."""
_STEPS: Final = (0, 1, 2, 3, 2, 1, 2, 1)
_NOTE_VOLUME: Final = 0.06


def tool_sound(name: str) -> bytes:
    """PCM at `HEARING_RATE`, for names of the reference: ``typing``, ``elevator1`` to ``elevator4``.

    Of a name that the reference has added since, the sound of typing.
    """
    return _made(_CHORDS.get(name))


@cache
def _made(notes: tuple[float, ...] | None) -> bytes:
    """Kept for ever, as there are few: not by a name, which is any text that somebody has configured."""
    wave = _typing() if notes is None else _music(notes)
    pcm: bytes = (wave * 32_767).astype("<i2").tobytes()
    return pcm


def _typing() -> npt.NDArray[np.float64]:
    """Clicks of keys at uneven moments, the same each time."""
    random = np.random.default_rng(7)
    wave = np.zeros(int(SECONDS * HEARING_RATE))
    length = int(_CLICK_SECONDS * HEARING_RATE)
    at = 0.1
    while at < SECONDS - 0.2:
        fall = np.exp(-np.arange(length) / (length / 6))
        first = int(at * HEARING_RATE)
        wave[first : first + length] += random.uniform(-1, 1, length) * fall * random.uniform(0.5, 1.0)
        # Words of some letters, and a moment between them.
        at += random.uniform(0.5, 1.5) / _KEYS_A_SECOND + (0.35 if random.random() < 0.15 else 0.0)
    return wave * _CLICK_VOLUME


def _music(notes: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """A chord, note by note."""
    length = int(SECONDS / len(_STEPS) * HEARING_RATE)
    moments = np.arange(length) / HEARING_RATE
    played = [np.sin(2 * np.pi * notes[step] * moments) * np.hanning(length) for step in _STEPS]
    wave: npt.NDArray[np.float64] = np.concatenate(played) * _NOTE_VOLUME
    return wave
