"""What a client sends as sound, as recognition hears it."""

from __future__ import annotations

from greenline.speech.formats import AudioFormat
from greenline.speech.models import HEARING_RATE
from greenline.speech.resample import Resampler


class Ears:
    """From the announced input format to PCM at `greenline.speech.models.HEARING_RATE`, in pieces of any size."""

    def __init__(self, heard: AudioFormat) -> None:
        self._format = heard
        self._resampler = Resampler(heard.rate, HEARING_RATE)

    def decode(self, sound: bytes) -> bytes:
        """What comes out so far; half a sample waits for its other half."""
        pcm = self._format.to_pcm(sound) if self._format.encoding == "ulaw" else sound
        return self._resampler.push(pcm)
