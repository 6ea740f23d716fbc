"""Speech by script: recognition that knows what was said, a voice that hums, and failures on order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from greenline.speech.detector import GatedDetector
from greenline.speech.errors import RecognitionError, SynthesisError
from greenline.speech.models import (
    Chunk,
    RecognitionOptions,
    RecognitionStream,
    Transcript,
    Voice,
    VoiceDetector,
)
from support.sounds import sine


@dataclass
class ScriptedSpeech:
    """Hears ``words`` in any recording, hums for a tenth of a second a word. None fails.

    Keeps what it was asked: ``heard`` and ``options``, ``said`` and ``voices``.
    """

    words: str | None = "Do you sell tea?"
    hums: bool = True
    heard: list[bytes] = field(default_factory=list)
    options: list[RecognitionOptions] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    voices: list[Voice] = field(default_factory=list)
    name: str = "script"
    rate: int = 16_000

    def recogniser(self, options: RecognitionOptions) -> ScriptedSpeech:
        """Itself."""
        return self

    def synthesiser(self, voice: Voice) -> ScriptedSpeech:
        """Itself."""
        return self

    def detector(self) -> VoiceDetector:
        """A real one."""
        return GatedDetector()

    async def prepare(self, voice: Voice) -> None:
        """Nothing."""

    def spare(self, voice: Voice, rate: int) -> bytes:
        """Nothing."""
        return b""

    async def open(self, options: RecognitionOptions) -> RecognitionStream:
        """A script has no stream."""
        raise RecognitionError(self.name, "recordings only")

    async def transcribe(self, audio: bytes, mime_type: str, options: RecognitionOptions) -> Transcript:
        """The words of the script."""
        self.heard.append(audio)
        self.options.append(options)
        if self.words is None:
            raise RecognitionError(self.name, "deaf today")
        if options.usage is not None:
            options.usage.transcribed_seconds[self.name] += 1.0
        return Transcript(self.words, 1.0, provider=self.name)

    async def say(self, text: str, voice: Voice) -> AsyncIterator[Chunk]:
        """Hum."""
        self.said.append(text)
        self.voices.append(voice)
        if not self.hums:
            raise SynthesisError(self.name, "mute today")
        if voice.usage is not None:
            voice.usage.spoken_characters[self.name] += len(text)
        yield Chunk(sine(len(text.split()) / 10, self.rate))

    async def aclose(self) -> None:
        """Nothing to let go of."""
