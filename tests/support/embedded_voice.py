"""Sentences in the embedded voice, as people speak them into microphones."""

from __future__ import annotations

from typing import Any

from greenline.settings import END_OF_TURN_SECONDS
from greenline.speech.espeak import EspeakSynthesiser
from greenline.speech.models import HEARING_RATE, Voice
from greenline.speech.resample import Resampler

PAUSE = bytes(HEARING_RATE // 2)
"""A quarter of a second before the words."""
GAP_SECONDS = 2.0
"""No such silence in a voice is the end: a busy machine makes shorter ones."""


def understood(*phrases: str) -> dict[str, Any]:
    """Settings of a server to which people say nothing but ``phrases``, in voices that a busy machine tears.

    Beside the demo's phrases a piece of one may be taken for a short one, as "No".
    """
    return {"stt_phrases": "\n".join(phrases), "end_of_turn_seconds": {**END_OF_TURN_SECONDS, "normal": GAP_SECONDS}}


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
