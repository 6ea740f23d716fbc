"""What a page shows of a sound before it is played: how long it is, and its waveform."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import numpy as np

from greenline.speech.errors import AudioError
from greenline.speech.models import HEARING_RATE
from greenline.speech.notes import NOTE_MIME_TYPE, decode_recording, encode_note

PEAKS: Final = 44
"""Bars of a waveform."""
QUIET: Final = 200.0
"""Root mean square of 16-bit samples: sound below it, such as a silent room, is not drawn as if it were speech."""


@dataclass(frozen=True, slots=True)
class Sound:
    """``peaks``: how loud each part is, 0 to 100."""

    seconds: float
    peaks: tuple[int, ...]


async def sound_of(data: bytes) -> Sound | None:
    """The sound of a file; None for one that can't be decoded."""
    try:
        return await asyncio.to_thread(_measure, data)
    except AudioError:
        return None


async def voice_note(recording: bytes) -> tuple[bytes, str]:
    """What a browser recorded as WhatsApp sends it: OGG/Opus mono, and its MIME type. Raises `AudioError`."""
    note = await asyncio.to_thread(_encode, recording)
    return note, NOTE_MIME_TYPE


def _measure(data: bytes) -> Sound:
    recording = decode_recording(data)
    parts = np.array_split(np.frombuffer(recording.pcm, "<i2").astype(np.float32), PEAKS)
    loud = [float(np.sqrt(np.mean(part**2))) if len(part) else 0.0 for part in parts]
    top = max(*loud, QUIET)
    return Sound(recording.seconds, tuple(round(100 * level / top) for level in loud))


def _encode(recording: bytes) -> bytes:
    return encode_note(decode_recording(recording).pcm, HEARING_RATE).data
