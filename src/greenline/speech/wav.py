"""WAV, which every provider takes."""

from __future__ import annotations

import io
import wave


def encode_wav(pcm: bytes, rate: int) -> bytes:
    """A WAV file of mono PCM."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(pcm)
    return file.getvalue()
