"""What hears and what speaks, the same for every provider.

Inside the house audio is PCM: signed 16 bit little-endian, mono. What is heard comes at `HEARING_RATE`; a voice
speaks at its own rate, and whoever plays it resamples.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from greenline.speech.usage import SpeechUsage

HEARING_RATE: Final = 16_000
"""Samples a second of everything that recognisers and voice detectors are given."""


@dataclass(frozen=True, slots=True)
class RecognitionOptions:
    """What to expect. ``language`` is a code such as ``en``; ``keywords`` are words to prefer.

    ``others`` are languages that may be spoken as well. ``usage`` is the meter of the conversation, to which is added
    what was heard.
    """

    provider: str = ""
    language: str | None = None
    keywords: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    usage: SpeechUsage | None = field(default=None, compare=False, repr=False)

    @property
    def sole_language(self) -> str | None:
        """The language without its country, for who can tell languages apart: None where there are several."""
        return self.language.partition("-")[0] if self.language and not self.others else None


@dataclass(frozen=True, slots=True)
class Partial:
    """What an utterance seems to say so far; replaces the `Partial` before it.

    ``over`` is how sure the provider is that the person has finished, 0 to 1, where it tells.
    """

    text: str
    over: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class EndOfTurn:
    """The provider's own view that the person has finished. An ``eager`` one may be taken back by `TurnResumed`.

    ``over`` is as in `Partial`.
    """

    text: str
    eager: bool = False
    over: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class TurnResumed:
    """The person goes on speaking after an eager `EndOfTurn`."""


Hint: TypeAlias = Partial | EndOfTurn | TurnResumed


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said in a recording. ``seconds`` is its length; ``text`` is empty when nothing was understood.

    ``provider`` is the name of the recogniser that heard it, for its price.
    """

    text: str
    seconds: float
    provider: str = ""


class RecognitionStream(Protocol):
    """One person's speech, utterance after utterance."""

    @property
    def provider(self) -> str:
        """The name of the recogniser that hears now: another than was opened once a backup took over."""
        ...

    def push(self, pcm: bytes) -> None:
        """Add what was heard, at `HEARING_RATE`. Never waits; what a slow provider can't take is buffered."""
        ...

    async def finish(self) -> str:
        """The text of the utterance that ends now; the next ``push`` begins another. Raises `RecognitionError`."""
        ...

    def hints(self) -> AsyncIterator[Hint]:
        """What a streaming provider says on its way; ends with the stream, gives nothing where there is nothing."""
        ...

    async def aclose(self) -> None:
        """Let go of the provider. Safe to call twice."""
        ...


class Recogniser(Protocol):
    """Turns speech into text."""

    @property
    def name(self) -> str:
        """For transcripts, metrics and errors: ``deepgram:nova-3``, a provider and its model."""
        ...

    async def open(self, options: RecognitionOptions) -> RecognitionStream:
        """A stream for one conversation. Raises `RecognitionError`, `SpeechNotConfigured`."""
        ...

    async def transcribe(self, audio: bytes, mime_type: str, options: RecognitionOptions) -> Transcript:
        """A whole recording, such as a voice note, in any format that is decoded here. Raises as `open` does."""
        ...

    async def aclose(self) -> None:
        """Let go of connections, processes and threads. Its owner calls it, when the server ends."""
        ...


@dataclass(frozen=True, slots=True)
class Voice:
    """Whose voice and how. ``voice_id`` and ``model_id`` are the agent's; a provider maps what it doesn't know.

    ``usage`` is the meter of the conversation, to which is added what was spoken. ``ahead`` is how many seconds are
    still to be played to who hears it as it comes: sound that comes much slower than it plays is no speech to them.
    It is None where nobody does.
    """

    voice_id: str = ""
    model_id: str = ""
    language: str | None = None
    speed: float = 1.0
    stability: float = 0.5
    similarity_boost: float = 0.8
    dictionaries: tuple[tuple[str, str | None], ...] = ()
    """Pronunciation dictionaries at the provider: id and version, the newest where it is None."""
    normalise: bool = False
    """Whether the provider is to write numbers and abbreviations out, since the model was not asked to."""
    usage: SpeechUsage | None = field(default=None, compare=False, repr=False)
    ahead: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Alignment:
    """When each character is spoken, in milliseconds from the beginning of its chunk (reference: ``alignment``)."""

    chars: Sequence[str]
    starts_ms: Sequence[int]
    durations_ms: Sequence[int]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of speech, PCM at the synthesiser's rate. ``provider`` is the name of the one who speaks."""

    pcm: bytes = field(repr=False)
    alignment: Alignment | None = None
    provider: str = ""


class Synthesiser(Protocol):
    """Turns text into speech."""

    @property
    def name(self) -> str:
        """For transcripts, metrics and errors: ``elevenlabs:eleven_flash_v2``, a provider and its model."""
        ...

    @property
    def rate(self) -> int:
        """Samples a second of its chunks."""
        ...

    def say(self, text: str, voice: Voice) -> AsyncIterator[Chunk]:
        """Speak a sentence or a few, in pieces as the provider streams them.

        Closing the iterator, or cancelling the task that reads it, stops the provider. Raises `SynthesisError`,
        `SpeechNotConfigured`.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections and processes. Its owner calls it, when the server ends."""
        ...


class VoiceDetector(Protocol):
    """Tells voice from other sound, for one stream; holds its state between calls."""

    def score(self, pcm: bytes) -> list[float]:
        """The probability of voice for each further whole window of 32 ms, at `HEARING_RATE`; keeps the rest."""
        ...


class Speech(Protocol):
    """The speech of this server: which provider serves whom, by agent configuration and settings."""

    def recogniser(self, options: RecognitionOptions) -> Recogniser:
        """The recogniser for ``options.provider``, or the server's default. Raises `SpeechNotConfigured`."""
        ...

    def synthesiser(self, voice: Voice) -> Synthesiser:
        """The synthesiser for ``voice.model_id``, or the server's default. Raises `SpeechNotConfigured`."""
        ...

    def detector(self) -> VoiceDetector:
        """A fresh detector."""
        ...

    async def prepare(self, voice: Voice) -> None:
        """Have `spare` ready for conversations in this voice, if somebody can speak now."""
        ...

    def spare(self, voice: Voice, rate: int) -> bytes:
        """What a person hears when nobody can speak, as PCM at ``rate``; empty when nothing was made ready."""
        ...
