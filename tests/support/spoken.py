"""A person who speaks by script, heard by a recogniser that knows the script; a voice of known length."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import numpy as np

from greenline.channels.live.session import LiveSession
from greenline.speech.errors import RecognitionError, SynthesisError
from greenline.speech.models import (
    HEARING_RATE,
    Chunk,
    Hint,
    RecognitionOptions,
    RecognitionStream,
    Transcript,
    Voice,
    VoiceDetector,
)
from support.sounds import sine
from support.voice import tone
from support.wait import eventually

WINDOW = 512
ANSWER = "Yes we sell green tea and black tea here."
"""What an agent may say: nine words."""
SECONDS_A_WORD = 0.2
SPARE_SECONDS = 0.5
RATE = 24_000
PIECE_BYTES = int(RATE * SECONDS_A_WORD / 2) * 2


class LoudIsVoice:
    """A detector for which every loud window is voice."""

    def __init__(self) -> None:
        self._rest = b""

    def score(self, pcm: bytes) -> list[float]:
        """1 for each loud window, 0 for each quiet one."""
        samples = np.frombuffer(self._rest + pcm, "<i2")
        whole = len(samples) // WINDOW
        self._rest = samples[whole * WINDOW :].tobytes()
        windows = samples[: whole * WINDOW].reshape(whole, WINDOW)
        return [1.0 if np.abs(window).max() > 500 else 0.0 for window in windows]


@dataclass
class Stage:
    """What was pushed, and what is said next."""

    speech: SpokenSpeech
    provider: str = "script"
    pushed: int = 0
    finished: int = 0
    """Utterances of which the text was asked for."""
    leaves: bool = False
    closed: bool = False

    def push(self, pcm: bytes) -> None:
        """Count it."""
        self.pushed += len(pcm)

    async def finish(self) -> str:
        """The next text of the script."""
        self.finished += 1
        if self.speech.thinking is not None:
            await self.speech.thinking.wait()
        if self.speech.fault is not None:
            raise self.speech.fault
        if self.speech.deaf:
            raise RecognitionError("script", "deaf today")
        return self.speech.texts.popleft() if self.speech.texts else ""

    async def hints(self) -> AsyncIterator[Hint]:
        """What the test puts there."""
        while True:
            yield await self.speech.tell.get()

    async def aclose(self) -> None:
        """Remember it."""
        self.leaves = True
        if self.speech.leaving is not None:
            await self.speech.leaving.wait()
        self.closed = True


@dataclass
class SpokenSpeech:
    """Hears ``texts``, one at each pause; speaks every word for a fifth of a second.

    While ``opening``, ``thinking``, ``reading`` (a recording), ``leaving`` or ``voiceless`` is set and not released,
    recognition or the voice waits. A sentence that holds a key of ``breaks`` breaks off after that many pieces, each
    of which is half a word.
    """

    texts: deque[str] = field(default_factory=deque)
    deaf: bool = False
    mute: bool = False
    absent: bool = False
    fault: Exception | None = None
    opening: asyncio.Event | None = None
    breaks: dict[str, int] = field(default_factory=dict)
    thinking: asyncio.Event | None = None
    reading: asyncio.Event | None = None
    leaving: asyncio.Event | None = None
    voiceless: asyncio.Event | None = None
    tell: asyncio.Queue[Hint] = field(default_factory=asyncio.Queue)
    said: list[str] = field(default_factory=list)
    voices: list[Voice] = field(default_factory=list)
    """Whose `said` is."""
    cancelled: int = 0
    attempts: int = 0
    """To open a stream."""
    recordings: list[bytes] = field(default_factory=list)
    """What was to be transcribed as a whole."""
    options: list[RecognitionOptions] = field(default_factory=list)
    """Those of the attempts."""
    streams: list[Stage] = field(default_factory=list)
    name: str = "script"
    hums: bool = False
    """Whether the voice is to be heard: a tone in place of silence."""
    rate: int = RATE

    def recogniser(self, options: RecognitionOptions) -> SpokenSpeech:
        """Itself."""
        return self

    def synthesiser(self, voice: Voice) -> SpokenSpeech:
        """Itself."""
        return self

    def detector(self) -> VoiceDetector:
        """One that can't err."""
        return LoudIsVoice()

    async def prepare(self, voice: Voice) -> None:
        """Nothing: the script has it."""

    def spare(self, voice: Voice, rate: int) -> bytes:
        """A tone."""
        return tone(SPARE_SECONDS) if rate == HEARING_RATE else b""

    async def open(self, options: RecognitionOptions) -> RecognitionStream:
        """A stream, unless the provider is absent."""
        self.attempts += 1
        self.options.append(options)
        if self.opening is not None:
            await self.opening.wait()
        if self.absent:
            raise RecognitionError(self.name, "not there")
        self.streams.append(Stage(self))
        return self.streams[-1]

    async def transcribe(self, audio: bytes, mime_type: str, options: RecognitionOptions) -> Transcript:
        """The next text of the script."""
        self.recordings.append(audio)
        if self.reading is not None:
            await self.reading.wait()
        if self.deaf:
            raise RecognitionError(self.name, "deaf today")
        return Transcript(self.texts.popleft(), 1.0, provider=self.name)

    async def say(self, text: str, voice: Voice) -> AsyncIterator[Chunk]:
        """A tone, in pieces of a tenth of a second."""
        self.said.append(text)
        self.voices.append(voice)
        if voice.usage is not None:
            voice.usage.spoken_characters[self.name] += len(text)
        try:
            if self.voiceless is not None:
                await self.voiceless.wait()
            most = next((count for words, count in self.breaks.items() if words in text), None)
            for place in range(len(text.split()) * 2):
                if self.mute or place == most:
                    raise SynthesisError(self.name, "mute today")
                yield Chunk(sine(SECONDS_A_WORD / 2, self.rate) if self.hums else bytes(PIECE_BYTES))
        except (GeneratorExit, asyncio.CancelledError):
            self.cancelled += 1
            raise

    async def aclose(self) -> None:
        """Nothing is held."""


def voice(session: LiveSession, seconds: float) -> None:
    """The person makes a sound."""
    session.hear(tone(seconds))


def pause(session: LiveSession, seconds: float) -> None:
    """The person is silent."""
    session.hear(bytes(int(seconds * HEARING_RATE) * 2))


async def ask(session: LiveSession, speech: SpokenSpeech, text: str, *, seconds: float = 0.5) -> None:
    """The person says ``text`` and has finished."""
    await eventually(lambda: bool(speech.streams))
    speech.texts.append(text)
    voice(session, seconds)
    pause(session, 0.7)
