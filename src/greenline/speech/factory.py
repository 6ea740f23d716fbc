"""Makes the speech of a server from its settings and the keys in its environment."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, TypeVar

import structlog

from greenline.clock import Clock, SystemClock
from greenline.errors import ConfigurationError
from greenline.settings import Settings
from greenline.speech.cascade import RecogniserCascade, Rests, SynthesiserCascade
from greenline.speech.catalog import SpeechCatalog, Target
from greenline.speech.detector import GatedDetector, OnnxDetector, open_session
from greenline.speech.errors import SpeechNotConfigured
from greenline.speech.espeak import EspeakProcess, EspeakSynthesiser
from greenline.speech.models import Recogniser, RecognitionOptions, Synthesiser, Voice, VoiceDetector
from greenline.speech.providers import make_recogniser, make_synthesiser
from greenline.speech.spare import Spare
from greenline.speech.sphinx import SphinxRecogniser
from greenline.speech.whisper import WhisperRecogniser

log = structlog.get_logger(__name__)

MAX_PARTS: Final = 64
"""More than anybody has models, few enough to keep their connections."""

T = TypeVar("T")
P = TypeVar("P", bound=Recogniser | Synthesiser)


class SpeechServices:
    """The `greenline.speech.models.Speech` of a process. Parts are made when they are first asked for, and kept."""

    def __init__(self, settings: Settings, clock: Clock, environ: Mapping[str, str]) -> None:
        """Raises `ConfigurationError` for a provider in the settings that is not known, or that lacks its key."""
        self._settings = settings
        self._hearing = SpeechCatalog.of("stt", settings, environ)
        self._speaking = SpeechCatalog.of("tts", settings, environ)
        self._rests = Rests(clock)
        self._recognisers = _Kept[Recogniser](lambda target: make_recogniser(target, self._hearing, settings))
        self._espeak = EspeakProcess()
        self._synthesisers = _Kept[Synthesiser](
            lambda target: make_synthesiser(target, self._speaking, settings, self._espeak)
        )
        self._spare = Spare(settings.failure_message, EspeakSynthesiser(process=self._espeak))
        try:
            self._make_named()
        except SpeechNotConfigured as error:
            raise ConfigurationError(str(error)) from error

    def recogniser(self, options: RecognitionOptions) -> RecogniserCascade:
        """The recogniser for the agent's ``asr.provider``, with its backups. Raises `SpeechNotConfigured`."""
        chain = _configured(self._hearing.chain(options.provider), self._recognisers.get)
        return RecogniserCascade(chain, self._rests, seconds=self._settings.speech_timeout_seconds)

    def synthesiser(self, voice: Voice) -> SynthesiserCascade:
        """The synthesiser for the agent's ``tts.model_id``, with its backups; the last is our own voice."""
        chain = _configured(self._speaking.chain(voice.model_id), self._synthesisers.get)
        return SynthesiserCascade(chain, self._rests, seconds=self._settings.speech_timeout_seconds)

    def detector(self) -> VoiceDetector:
        """A fresh detector."""
        if self._settings.vad_model is not None:
            return OnnxDetector(open_session(self._settings.vad_model))
        return GatedDetector()

    async def prepare(self, voice: Voice) -> None:
        """Have `spare` ready for conversations in this voice, if the embedded voice can speak now."""
        await self._spare.make(voice.language)

    def spare(self, voice: Voice, rate: int) -> bytes:
        """The server's failure message, which the embedded voice has spoken ahead; empty when it has not."""
        return self._spare.sound(voice.language, rate)

    async def warm_hearing(self) -> None:
        """Load who hears, if that is on this machine. Raises `SpeechError`, ``OSError``."""
        recogniser = self._recognisers.get(self._hearing.find(""))
        if isinstance(recogniser, SphinxRecogniser | WhisperRecogniser):
            await recogniser.warm()

    async def warm_speaking(self) -> None:
        """Load who speaks, if that is on this machine. Raises `SpeechError`, ``OSError``."""
        synthesiser = self._synthesisers.get(self._speaking.find(""))
        if isinstance(synthesiser, EspeakSynthesiser):
            await synthesiser.warm()

    async def aclose(self) -> None:
        """Stop what was started, close what was opened."""
        await self._recognisers.aclose()
        await self._synthesisers.aclose()
        await self._espeak.stop()

    def _make_named(self) -> None:
        """What the settings name must be there when the server starts, not fail in the first call."""
        for target in self._hearing.named():
            self._recognisers.get(target)
        for target in self._speaking.named():
            self._synthesisers.get(target)
        if self._settings.vad_model is not None:
            open_session(self._settings.vad_model)


class _Kept(Generic[P]):
    """Parts by target. Agents name models as they like: the one that nobody used for longest makes room."""

    def __init__(self, make: Callable[[Target], P]) -> None:
        self._make = make
        self._parts: OrderedDict[Target, P] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()

    def get(self, target: Target) -> P:
        """The part of ``target``. Raises `SpeechNotConfigured`."""
        if target not in self._parts:
            self._parts[target] = self._make(target)
        self._parts.move_to_end(target)
        if len(self._parts) > MAX_PARTS:
            _, oldest = self._parts.popitem(last=False)
            task = asyncio.get_running_loop().create_task(oldest.aclose())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        return self._parts[target]

    async def aclose(self) -> None:
        """Close all of them."""
        await asyncio.gather(*self._closing, *(part.aclose() for part in self._parts.values()))
        self._parts.clear()


def build_speech(
    settings: Settings, clock: Clock | None = None, environ: Mapping[str, str] = os.environ
) -> SpeechServices:
    """The speech of a server; close it at the end. Raises `ConfigurationError` for a wrong setting."""
    return SpeechServices(settings, clock or SystemClock(), environ)


def _configured(chain: Sequence[Target], make: Callable[[Target], T]) -> list[T]:
    """The parts of a chain that can be had. Raises `SpeechNotConfigured` when that is none."""
    parts: list[T] = []
    missing: list[SpeechNotConfigured] = []
    for target in chain:
        try:
            parts.append(make(target))
        except SpeechNotConfigured as error:
            log.warning("speech.not_configured", provider=str(target), error=str(error))
            missing.append(error)
    if not parts:
        raise missing[0]
    return parts
