"""Sound in which no voice was detected, kept for a second hearing (reference: ``retranscribe_on_turn_timeout``)."""

from __future__ import annotations

from typing import Final

import numpy as np
import structlog

from greenline.speech.errors import SpeechError
from greenline.speech.models import HEARING_RATE, RecognitionOptions, Speech
from greenline.speech.wav import encode_wav

log = structlog.get_logger(__name__)

MOST_SECONDS: Final = 30.0
"""The newest: longer than a person is waited for, as a rule."""
QUIETEST: Final = 200
"""Of 32,767: in sound without a louder sample (-44 dB) nobody speaks, and recognisers imagine words."""
_MOST_BYTES: Final = int(MOST_SECONDS * HEARING_RATE) * 2


class Unheard:
    """What came since the person may speak."""

    def __init__(self) -> None:
        self._sound = bytearray()

    def keep(self, pcm: bytes) -> None:
        """Sound at `HEARING_RATE`."""
        self._sound += pcm
        del self._sound[: max(0, len(self._sound) - _MOST_BYTES)]

    def forget(self) -> None:
        """Another turn begins, or a voice was detected."""
        self._sound.clear()

    async def words(self, speech: Speech, options: RecognitionOptions) -> str:
        """What it says after all; empty where that is nothing, or recognition failed."""
        sound = bytes(self._sound)
        self._sound.clear()
        if np.abs(np.frombuffer(sound, "<i2").astype(np.int32)).max(initial=0) < QUIETEST:
            return ""
        try:
            recogniser = speech.recogniser(options)
            heard = await recogniser.transcribe(encode_wav(sound, HEARING_RATE), "audio/wav", options)
        except SpeechError as error:
            log.warning("unheard.not_transcribed", error=str(error))
            return ""
        return heard.text.strip()
