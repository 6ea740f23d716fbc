"""Deepgram: Nova over a WebSocket (``/v1/listen``), recordings by POST, and Aura's voices (``/v1/speak``)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final
from urllib.parse import urlencode

from greenline.speech.errors import RecognitionError, SynthesisError
from greenline.speech.http import RECORDING_SECONDS, Address, HttpService
from greenline.speech.models import (
    HEARING_RATE,
    Chunk,
    EndOfTurn,
    Partial,
    RecognitionOptions,
    RecognitionStream,
    Transcript,
    Voice,
)
from greenline.speech.notes import decode_recording
from greenline.speech.pcm import whole_samples
from greenline.speech.socket import KeepAlive, SocketStream, SpeechSocket
from greenline.speech.voices import provider_voice

SPEAKING_RATE: Final = 24_000
FINALIZE_SECONDS: Final = 1.0
"""Deepgram need not answer a Finalize when little sound waits."""
_FINALIZE: Final = json.dumps({"type": "Finalize"})
_KEEP_ALIVE: Final = KeepAlive(json.dumps({"type": "KeepAlive"}), 4.0)
"""Deepgram closes after 10 s without sound and asks for one every 3 to 5 s."""
TOLD_APART: Final = frozenset({"de", "en", "es", "fr", "hi", "it", "ja", "nl", "pt", "ru"})
"""The languages of ``multi`` (Deepgram: Multilingual codeswitching), and those of Flux (Language prompting)."""
_KEYTERMS: Final = 100
_KEYTERM_TOKENS: Final = 500
_ROUNDING: Final = 0.02
_FLUSH: Final = bytes(HEARING_RATE * 5 // 4 * 2)
"""Silence: after a second of sound there is a result at any rate, if only of that."""


class DeepgramRecogniser:
    """A `Recogniser` with a Nova model; a Flux model is served by `greenline.speech.flux`."""

    def __init__(self, model: str, address: Address, *, seconds: float) -> None:
        self.name = f"deepgram:{model}"
        self._model = model
        self._address = address
        self._seconds = seconds
        self._http = HttpService(self.name, address, RecognitionError, seconds=RECORDING_SECONDS)

    async def open(self, options: RecognitionOptions) -> RecognitionStream:
        """Connect; Deepgram sends what it has understood so far about three times a second."""
        query = {
            "encoding": "linear16",
            "sample_rate": HEARING_RATE,
            "channels": 1,
            "interim_results": "true",
            "endpointing": 300,
        }
        path = f"/v1/listen?{urlencode([*query.items(), *self._query(options)])}"
        socket = await SpeechSocket.open(
            self.name, self._address, path, seconds=self._seconds, keep_alive=_KEEP_ALIVE
        )
        return NovaStream(self.name, socket)

    async def transcribe(self, audio: bytes, mime_type: str, options: RecognitionOptions) -> Transcript:
        """Send the recording as it is: Deepgram knows the formats of voice notes."""
        recording = await asyncio.to_thread(decode_recording, audio)
        path = f"/v1/listen?{urlencode(self._query(options))}"
        answer = await self._http.post(path, content=audio, headers={"Content-Type": mime_type.partition(";")[0]})
        try:
            text = _alternative(answer["results"]["channels"][0])
        except (IndexError, KeyError, TypeError) as error:
            raise RecognitionError(self.name, f"the answer has no transcript: {str(answer)[:200]}") from error
        return Transcript(text, recording.seconds, self.name)

    async def aclose(self) -> None:
        """Close the connections of recordings."""
        await self._http.aclose()

    def _query(self, options: RecognitionOptions) -> Sequence[tuple[str, str]]:
        term = "keyterm" if self._model.startswith("nova-3") else "keywords"
        language, _, region = _language(options).partition("-")
        return [
            ("model", self._model),
            ("smart_format", "true"),
            ("language", f"{language}-{region.upper()}" if region else language),
            *((term, keyword) for keyword in keyterms(options.keywords)),
        ]


@dataclass(frozen=True, slots=True)
class _Result:
    """What was said between two moments of the sound that was sent, in seconds."""

    begin: float
    end: float
    text: str


class NovaStream(SocketStream):
    """An utterance is what lies between two moments of the sound that was sent; results say which time they cover."""

    def __init__(self, provider: str, socket: SpeechSocket) -> None:
        self._sent = 0.0
        self._begin = 0.0
        self._finals: list[_Result] = []
        self._interim: _Result | None = None
        self._finalized = 0
        self._latest = 0.0
        super().__init__(provider, socket)

    def push(self, pcm: bytes) -> None:
        """Send it."""
        self._sent += len(pcm) / 2 / HEARING_RATE
        self._socket.send(pcm)

    async def finish(self) -> str:
        """Ask for the rest and wait until the results reach the end of what was sent."""
        if self._sent <= self._begin + _ROUNDING:
            return ""
        end, before = self._sent, self._finalized
        self._socket.send(_FINALIZE)
        if not await self._has_heard(end, before) and self._latest < end - _ROUNDING:
            await self._check(end, before)
        text = self._said(end)
        self._forget(end)
        return text

    def on_message(self, message: Mapping[str, Any]) -> None:
        """A result, or one of the messages that need no answer."""
        if message.get("type") == "Error":
            raise RecognitionError(self.provider, str(message.get("description") or message)[:200])
        if message.get("type") != "Results":
            return
        begin = float(message["start"])
        late = begin < self._begin - _ROUNDING  # of what was told by its interim result nothing is news
        text = _alternative(message["channel"], self._begin if late else 0.0)
        result = _Result(begin, begin + float(message["duration"]), text)
        self._finalized += bool(message.get("from_finalize"))
        self._latest = max(self._latest, result.end)
        if result.end <= self._begin + _ROUNDING:
            return
        if message.get("is_final"):
            self._finals.append(result)
            self._interim = None
        else:
            self._interim = result
        said = self._said(result.end)
        if message.get("speech_final") and said:
            self.hint(EndOfTurn(said, eager=True))
        elif result.text:
            self.hint(Partial(said))

    async def _has_heard(self, end: float, finalized: int) -> bool:
        """Whether the words before ``end`` are final in time; more than ``finalized`` such results say so too."""
        return await self.until(
            lambda: self._finalized > finalized or self._heard_until() >= end - _ROUNDING,
            FINALIZE_SECONDS,
            reached=lambda: min(self._latest, end),
        )

    async def _check(self, end: float, finalized: int) -> None:
        """Tell who has nothing to add from who hears nothing any more: after a second of sound there is a result.

        Raises `RecognitionError`.
        """
        if self._sent <= end + _ROUNDING:  # else silence would come into the middle of what is said now
            self.push(_FLUSH)
        heard = await self.until(
            lambda: self._finalized > finalized or self._latest >= end - _ROUNDING,
            FINALIZE_SECONDS,
            reached=lambda: min(self._latest, end),
        )
        if not heard:
            missing = end - max(self._latest, self._begin)
            raise RecognitionError(self.provider, f"no result for {missing:.1f} s of sound")

    def _said(self, end: float) -> str:
        """The words of what began before ``end``."""
        results = [*self._finals, *([self._interim] if self._interim else [])]
        return " ".join(result.text for result in results if result.text and result.begin < end - _ROUNDING)

    def _heard_until(self) -> float:
        return self._finals[-1].end if self._finals else self._begin

    def _forget(self, until: float) -> None:
        """What began later belongs to the next utterance."""
        self._begin = until
        self._finals = [result for result in self._finals if result.begin >= until - _ROUNDING]
        if self._interim is not None and self._interim.begin < until - _ROUNDING:
            self._interim = None


class DeepgramSynthesiser:
    """A `Synthesiser` with Aura's voices: the voice is the model."""

    rate = SPEAKING_RATE

    def __init__(self, model: str, address: Address, *, seconds: float, voices: Mapping[str, str]) -> None:
        self.name = f"deepgram:{model}"
        self._model = model
        self._voices = voices
        self._http = HttpService(self.name, address, SynthesisError, seconds=seconds)

    async def say(self, text: str, voice: Voice) -> AsyncGenerator[Chunk, None]:
        """Speak, as the sound comes. Aura has one speed."""
        query = {
            "model": provider_voice(self._voices, "deepgram", voice.voice_id) or self._model,
            "encoding": "linear16",
            "sample_rate": str(SPEAKING_RATE),
            "container": "none",
        }
        sound = self._http.sound("/v1/speak", params=query, json={"text": text})
        async with contextlib.aclosing(whole_samples(sound)) as pieces:
            async for pcm in pieces:
                yield Chunk(pcm, None, self.name)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def keyterms(keywords: Sequence[str]) -> list[str]:
    """The first of an agent's keywords, as many as Deepgram takes: for more it refuses the connection.

    Its tokens are of two letters at least, nearly always; each term may have one more.
    """
    tokens = accumulate(1 + (len(word.encode()) + 1) // 2 for word in keywords)
    fitting = [word for word, until in zip(keywords, tokens, strict=True) if until <= _KEYTERM_TOKENS]
    return fitting[:_KEYTERMS]


def _language(options: RecognitionOptions) -> str:
    """Nova can tell some languages apart; of others it hears the one that it is told."""
    spoken = {language.partition("-")[0] for language in (options.language or "", *options.others)}
    several = not options.language or (options.others and spoken <= TOLD_APART)
    return "multi" if several else options.language or ""


def _alternative(channel: Mapping[str, Any], since: float = 0.0) -> str:
    """The text; that of the words which begin ``since`` a moment, where it has words with their times."""
    best = channel["alternatives"][0]
    if not since or not best.get("words"):
        return str(best["transcript"])
    words = (word for word in best["words"] if word["start"] >= since - _ROUNDING)
    return " ".join(str(word.get("punctuated_word") or word["word"]) for word in words)
