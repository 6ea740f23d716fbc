"""Sentences in the embedded voice, as people speak them into microphones."""

from __future__ import annotations

from greenline.speech.espeak import EspeakSynthesiser
from greenline.speech.models import HEARING_RATE, Voice
from greenline.speech.resample import Resampler

PAUSE = bytes(HEARING_RATE // 2)
"""A quarter of a second before the words."""


async def spoken(text: str) -> bytes:
    """PCM at `greenline.speech.models.HEARING_RATE`."""
    voice = EspeakSynthesiser()
    resampler = Resampler(voice.rate, HEARING_RATE)
    sound = bytearray(PAUSE)
    try:
        async for chunk in voice.say(text, Voice(language="en")):
            sound += resampler.push(chunk.pcm)
    finally:
        await voice.aclose()
    return bytes(sound) + resampler.flush()
