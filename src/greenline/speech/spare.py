"""What a person hears when nobody can speak: a sentence that was made ahead, while the embedded voice was well."""

from __future__ import annotations

from typing import Final

import structlog

from greenline.speech.errors import SpeechError
from greenline.speech.models import Synthesiser, Voice
from greenline.speech.resample import resample

log = structlog.get_logger(__name__)

MOST_LANGUAGES: Final = 32
"""Kept at once; a sentence of four seconds takes 180 kB."""


class Spare:
    """The sentence, in the languages of the agents that speak here."""

    def __init__(self, text: str, synthesiser: Synthesiser) -> None:
        self._text = text
        self._synthesiser = synthesiser
        self._sounds: dict[str | None, bytes] = {}

    async def make(self, language: str | None) -> None:
        """Have it ready for agents that speak ``language``, if somebody can speak now."""
        if not self._text or language in self._sounds or len(self._sounds) >= MOST_LANGUAGES:
            return
        try:
            chunks = [chunk.pcm async for chunk in self._synthesiser.say(self._text, Voice(language=language))]
        except SpeechError as error:
            log.warning("speech.spare_not_made", language=language, error=str(error))
        else:
            self._sounds[language] = b"".join(chunks)

    def sound(self, language: str | None, rate: int) -> bytes:
        """The sentence as PCM; empty when there is none."""
        return resample(self._sounds.get(language, b""), self._synthesiser.rate, rate)
