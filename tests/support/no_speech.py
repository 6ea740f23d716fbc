"""Speech of a server that has none: every question for it says what to set."""

from __future__ import annotations

from greenline.speech.errors import SpeechNotConfigured
from greenline.speech.models import Recogniser, RecognitionOptions, Synthesiser, Voice, VoiceDetector


class NoSpeech:
    """The `greenline.speech.models.Speech` of a server whose speech is switched off."""

    def recogniser(self, options: RecognitionOptions) -> Recogniser:
        """Raises `SpeechNotConfigured`."""
        raise SpeechNotConfigured("recognition", "set GREENLINE_STT")

    def synthesiser(self, voice: Voice) -> Synthesiser:
        """Raises `SpeechNotConfigured`."""
        raise SpeechNotConfigured("synthesis", "set GREENLINE_TTS")

    def detector(self) -> VoiceDetector:
        """Raises `SpeechNotConfigured`."""
        raise SpeechNotConfigured("voice detection", "set GREENLINE_STT")

    async def prepare(self, voice: Voice) -> None:
        """Nothing."""

    def spare(self, voice: Voice, rate: int) -> bytes:
        """Nothing."""
        return b""
