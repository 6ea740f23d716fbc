"""WAV, which every provider takes."""

from __future__ import annotations

import io
import wave


def decode_wav(data: bytes) -> bytes:
    """The sound of a file that `encode_wav` has made. Raises ``ValueError`` for any other."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            sound: bytes = file.readframes(file.getnframes())
            return sound
    except (wave.Error, EOFError) as error:
        raise ValueError(f"no WAV file: {error}") from error


def encode_wav(pcm: bytes, rate: int) -> bytes:
    """A WAV file of mono PCM."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(pcm)
    return file.getvalue()
