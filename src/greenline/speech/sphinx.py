"""The embedded recogniser, for demonstrations and tests: PocketSphinx with a grammar of whole phrases.

It knows English phrases from a list and nothing else. What is not on the list comes out empty (or, now and then, as
the most similar phrase). With an open vocabulary the same recogniser gets two words of three wrong, so that is not
offered: people are told what they can say, and whoever wants more sets a real recogniser.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import structlog

from greenline.speech.buffered import BufferedStream
from greenline.speech.errors import RecognitionError
from greenline.speech.models import HEARING_RATE, RecognitionOptions, Transcript
from greenline.speech.notes import decode_recording
from greenline.speech.phrases import PhraseBook, demo_phrases, grammar, spoken

log = structlog.get_logger(__name__)

NAME: Final = "embedded"
DECODERS: Final = 2
"""Threads that recognise, each with a decoder of 29 MB: a second of speech takes 20 ms."""
_GRAMMARS: Final = 16
"""Phrase lists that a decoder keeps: agents with keywords of their own take turns."""
_LONGEST_SECONDS: Final = 20
"""No phrase takes longer; a minute of talk is not searched for one."""
_LONGEST_RECORDING_SECONDS: Final = 120
"""About three seconds of a decoder's time, for which others wait."""
_LONGEST_PHRASE_BYTES: Final = 6 * HEARING_RATE * 2
_LONGEST_PAUSE_SECONDS: Final = 1.5
"""Within a phrase."""
_PHONES: Final = "phones"
_DOUBT: Final = -0.0019
"""How much worse than free phones a phrase may fit. Of 48 phrases in three voices 139 of 144 are understood, and of
18 other sentences 1 of 54 is mistaken for a phrase (without this limit 144, and 26); over steady noise 35 dB below
the voice it is 142 and 7."""
_MARGIN: Final = HEARING_RATE // 5
"""Silence around the speech, in samples: the grammar begins and ends with it."""
_FLOOR: Final = 20.0
"""Noise under the speech. The model was made of microphones: digital silence confuses it (19 of 52 phrases wrong
without, 1 of 52 with it)."""
_EDGE: Final = 0.02
"""Speech begins and ends where it is louder than this part of its peak."""
_PAUSE: Final = HEARING_RATE // 2
"""Between two phrases, in samples; within a phrase it does no harm."""
_PAUSE_EDGE: Final = 0.05
"""What is quieter than this part of the peak is a pause, though it may hold the first sound of a word."""
_LOUDNESS: Final = 20_000
_MAX_GAIN: Final = 8.0


class SphinxRecogniser:
    """A `Recogniser` of phrases."""

    name = NAME

    def __init__(self, book: PhraseBook | None = None, *, decoders: int = DECODERS) -> None:
        """``book`` None is the demo's."""
        self._book = book or demo_phrases()
        self._threads = ThreadPoolExecutor(decoders, thread_name_prefix="sphinx")
        self._local = threading.local()
        self._opened = False

    async def open(self, options: RecognitionOptions) -> PhraseStream:
        """A stream; the agent's keywords are phrases too. The first makes the model load, before somebody waits."""
        phrases = self._book.with_keywords(options.keywords)
        if not self._opened:
            self._opened = True
            with contextlib.suppress(RuntimeError):  # closed already: what fails here fails again when it is used
                self._threads.submit(self._decode, bytes(HEARING_RATE), phrases)
        return PhraseStream(self.name, lambda pcm: self._recognise(pcm, phrases))

    async def transcribe(self, audio: bytes, mime_type: str, options: RecognitionOptions) -> Transcript:
        """A recording of phrases, with a pause between each two, as somebody hears them who listens meanwhile."""
        recording = await asyncio.to_thread(decode_recording, audio)
        phrases = self._book.with_keywords(options.keywords)
        heard_until, texts = 0.0, list[str]()
        stream = PhraseStream(self.name, lambda pcm: self._recognise(pcm, phrases), lambda: heard_until)
        if recording.seconds <= _LONGEST_RECORDING_SECONDS:
            for begin, end in speeches(recording.pcm):
                heard_until = end / HEARING_RATE
                stream.push(recording.pcm[2 * begin : 2 * end])
                texts.append(await stream.finish())
        return Transcript(" ".join(filter(None, texts)), recording.seconds, self.name)

    async def warm(self) -> None:
        """Load the model and the phrases before somebody waits for it (about 0.2 s)."""
        await self._recognise(bytes(HEARING_RATE), self._book.with_keywords(()))

    async def aclose(self) -> None:
        """Let go of the decoders; what is being recognised comes to its end."""
        self._threads.shutdown(wait=False)

    async def _recognise(self, pcm: bytes, phrases: tuple[str, ...]) -> str:
        if len(pcm) > _LONGEST_SECONDS * HEARING_RATE * 2:
            return ""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, self._decode, pcm, phrases)
        except RuntimeError as error:  # how the library and a closed pool fail
            raise RecognitionError(self.name, str(error)) from error

    def _decode(self, pcm: bytes, phrases: tuple[str, ...]) -> str:
        decoder: _Decoder | None = getattr(self._local, "decoder", None)
        if decoder is None:
            decoder = self._local.decoder = _Decoder(self._book.pronunciations)
        return decoder.recognise(pcm, phrases)


class PhraseStream(BufferedStream):
    """Knows whole phrases only: a part in which it found none is heard again, together with the part that follows.

    People make pauses in the middle of a phrase, and what carries their voice makes some more. Who was asked to say
    it again begins anew: of two that are no phrases, every twelfth pair would be taken for one.
    """

    def __init__(
        self, provider: str, recognise: Callable[[bytes], Awaitable[str]], now: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(provider, recognise)
        self._now = now
        self._not_understood = b""
        self._heard_at = 0.0
        """When that was known."""

    async def finish(self) -> str:
        """The phrase in what was pushed, or that which began before it."""
        sound = bytes(self._sound)
        pause = self._now() - len(sound) / (2 * HEARING_RATE) - self._heard_at
        before = self._not_understood if pause < _LONGEST_PAUSE_SECONDS else b""
        text = await super().finish()
        # Without the pause between them: free phones fit silence no better than a phrase, and any phrase would do.
        both = before + speech_of(sound)
        if before and sound and not text:
            text = await self._recognise(both)
        self._not_understood, self._heard_at = b"" if text else both[-_LONGEST_PHRASE_BYTES:], self._now()
        return text


@dataclass(frozen=True, slots=True)
class _Grammar:
    """The name of a grammar in a decoder, and what is written for what is spoken."""

    name: str
    written: Mapping[str, str]


class _Decoder:
    """A decoder of the library and the grammars that it was given; for one thread."""

    def __init__(self, pronunciations: Mapping[str, str]) -> None:
        from pocketsphinx import Decoder

        self._decoder = Decoder(lm=None, samprate=float(HEARING_RATE), wip=0.3, bestpath=False, loglevel="FATAL")
        for word, phones in pronunciations.items():
            if self._decoder.lookup_word(word) is None:
                self._decoder.add_word(word, phones, update=False)
        self._decoder.add_allphone_file(_PHONES, None)
        self._grammars: OrderedDict[tuple[str, ...], _Grammar] = OrderedDict()
        self._numbers = itertools.count()

    def recognise(self, pcm: bytes, phrases: tuple[str, ...]) -> str:
        """The phrase, or nothing: for one that was begun and not ended, and where any phones would fit far better."""
        known = self._grammar(phrases)
        if not known.written:
            return ""
        sound = prepared(pcm)
        spoken_words, fit = self._run(known.name, sound)
        phrase = known.written.get(spoken_words, "")
        if not phrase or fit > _DOUBT:  # free phones fit no better than perfectly: no need to ask them
            return phrase
        _, best_fit = self._run(_PHONES, sound)
        return phrase if fit - best_fit > _DOUBT else ""

    def _run(self, name: str, sound: bytes) -> tuple[str, float]:
        """What a search finds, and the mean logarithm of its likelihood in a frame of 10 ms (0 is certain)."""
        self._decoder.activate_search(name)
        self._decoder.start_utt()
        self._decoder.process_raw(sound, full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        if hypothesis is None:
            return "", 0.0
        fit = sum(math.log(max(segment.ascore, sys.float_info.min)) for segment in self._decoder.seg())
        return hypothesis.hypstr, fit / max(1, self._decoder.n_frames())

    def _grammar(self, phrases: tuple[str, ...]) -> _Grammar:
        if phrases not in self._grammars:
            self._grammars[phrases] = self._load(phrases)
        self._grammars.move_to_end(phrases)
        while len(self._grammars) > _GRAMMARS:
            _, oldest = self._grammars.popitem(last=False)
            if oldest.written:
                self._decoder.remove_search(oldest.name)
        return self._grammars[phrases]

    def _load(self, phrases: tuple[str, ...]) -> _Grammar:
        loaded = _Grammar(f"phrases{next(self._numbers)}", self._known(phrases))
        if loaded.written:
            self._decoder.add_jsgf_string(loaded.name, grammar(loaded.written))
        return loaded

    def _known(self, phrases: Iterable[str]) -> dict[str, str]:
        known = {}
        for phrase in phrases:
            words = spoken(phrase)
            if words and all(self._decoder.lookup_word(word) is not None for word in words.split()):
                known[words] = phrase
            else:
                log.warning("speech.phrase_unknown", phrase=phrase)
        return known


def speeches(pcm: bytes) -> list[tuple[int, int]]:
    """Where somebody speaks between pauses, as places of samples; over noise all of it is one."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    loud = np.flatnonzero(np.abs(samples) > np.abs(samples).max(initial=1.0) * _PAUSE_EDGE)
    gaps = np.flatnonzero(np.diff(loud) > _PAUSE)
    begins, ends = [*loud[:1], *loud[gaps + 1]], [*loud[gaps], *loud[-1:]]
    return [
        (max(0, int(begin) - _MARGIN), min(len(samples), int(end) + _MARGIN))
        for begin, end in zip(begins, ends, strict=True)
    ]


def speech_of(pcm: bytes) -> bytes:
    """The sound without the silence around it."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    loud = np.flatnonzero(np.abs(samples) > np.abs(samples).max(initial=1.0) * _EDGE)
    return pcm[2 * loud[0] : 2 * loud[-1] + 2] if len(loud) else pcm


def prepared(pcm: bytes) -> bytes:
    """Speech with the loudness, the silence around it and the noise under it that the model expects."""
    speech = np.frombuffer(speech_of(pcm), "<i2").astype(np.float32)
    peak = float(np.abs(speech).max(initial=1.0))
    sound = np.pad(speech * min(_MAX_GAIN, max(1.0, _LOUDNESS / peak)), _MARGIN)
    sound += np.resize(_noise(), len(sound))
    return sound.clip(-32_768, 32_767).astype("<i2").tobytes()


@cache
def _noise() -> np.ndarray[Any, np.dtype[np.float32]]:
    """A second of it, always the same: the same speech gives the same text."""
    return np.random.default_rng(1).normal(0.0, _FLOOR, HEARING_RATE).astype(np.float32)
