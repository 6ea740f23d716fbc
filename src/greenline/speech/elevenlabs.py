"""ElevenLabs: voices with the time of each character, and Scribe for recordings."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final
from urllib.parse import quote

import orjson

from greenline.speech.errors import RecognitionError, SynthesisError
from greenline.speech.http import RECORDING_SECONDS, Address, HttpService
from greenline.speech.models import Alignment, Chunk, RecognitionOptions, RecognitionStream, Transcript, Voice
from greenline.speech.notes import decode_recording
from greenline.speech.scribe import open_scribe, scribe_keyterms
from greenline.speech.voices import provider_voice

SPEAKING_RATE: Final = 24_000
DEFAULT_VOICE: Final = "cjVigY5qzO86Huf0OWal"
"""The reference's default in ``tts.voice_id``."""
RECORDING_MODEL: Final = "scribe_v2"
REALTIME: Final = "_realtime"
_IN_STEPS: Final = "eleven_v3"
_LINE_BYTES: Final = 8_000_000


class ElevenLabsRecogniser:
    """A `Recogniser`: Scribe realtime for live speech, Scribe for recordings."""

    def __init__(self, model: str, address: Address, *, seconds: float) -> None:
        self.name = f"elevenlabs:{model}"
        self._model = model if model.endswith(REALTIME) else f"{RECORDING_MODEL}{REALTIME}"
        self._recording_model = model.removesuffix(REALTIME)
        self._address = address
        self._seconds = seconds
        self._http = HttpService(self.name, address, RecognitionError, seconds=RECORDING_SECONDS)

    async def open(self, options: RecognitionOptions) -> RecognitionStream:
        """Connect to Scribe realtime."""
        return await open_scribe(self.name, self._model, self._address, options, seconds=self._seconds)

    async def transcribe(self, audio: bytes, mime_type: str, options: RecognitionOptions) -> Transcript:
        """Send the recording as it is."""
        recording = await asyncio.to_thread(decode_recording, audio)
        form: dict[str, Any] = {"model_id": self._recording_model, "tag_audio_events": "false"}
        if options.sole_language:
            form["language_code"] = options.sole_language
        if keyterms := scribe_keyterms(options.keywords):
            form["keyterms"] = keyterms
        file = ("recording", audio, mime_type.partition(";")[0])
        answer = await self._http.post("/v1/speech-to-text", data=form, files={"file": file})
        text = answer.get("text") if isinstance(answer, dict) else None
        if not isinstance(text, str):
            raise RecognitionError(self.name, f"the answer has no text: {str(answer)[:200]}")
        return Transcript(text.strip(), recording.seconds, self.name)

    async def aclose(self) -> None:
        """Close the connections of recordings."""
        await self._http.aclose()


class ElevenLabsSynthesiser:
    """A `Synthesiser`."""

    rate = SPEAKING_RATE

    def __init__(self, model: str, address: Address, *, seconds: float, voices: Mapping[str, str]) -> None:
        self.name = f"elevenlabs:{model}"
        self._model = model
        self._voices = voices
        self._http = HttpService(self.name, address, SynthesisError, seconds=seconds)

    async def say(self, text: str, voice: Voice) -> AsyncGenerator[Chunk, None]:
        """Speak, as the sound comes. Each line of the answer is a piece of sound with the time of its characters."""
        name = provider_voice(self._voices, "elevenlabs", voice.voice_id) or DEFAULT_VOICE
        body: dict[str, Any] = {
            "text": text,
            "model_id": self._model,
            "voice_settings": {
                "stability": self._stability(voice),
                "similarity_boost": voice.similarity_boost,
                "speed": voice.speed,
            },
        }
        if voice.language and not self._model.endswith("_v2"):  # the models of that version refuse it
            body["language_code"] = voice.language.partition("-")[0]
        if voice.dictionaries:
            body["pronunciation_dictionary_locators"] = [
                {"pronunciation_dictionary_id": name, **({"version_id": version} if version else {})}
                for name, version in voice.dictionaries
            ]
        if voice.normalise and not self._model.endswith("_v2_5"):  # those models refuse it
            body["apply_text_normalization"] = "on"
        lines = self._lines(f"/v1/text-to-speech/{quote(name, safe='')}/stream/with-timestamps", body)
        begin, rest = 0.0, b""
        async with contextlib.aclosing(lines):
            async for line in lines:
                try:
                    pcm = rest + base64.b64decode(line["audio_base64"] or "")
                    alignment = _alignment(line.get("alignment"), begin)
                except (KeyError, TypeError, ValueError) as error:
                    raise SynthesisError(self.name, f"a piece of sound is not as the API says: {error!r}") from error
                whole = len(pcm) // 2 * 2  # a sample may be cut in two
                pcm, rest = pcm[:whole], pcm[whole:]
                begin += len(pcm) / 2 / self.rate
                yield Chunk(pcm, alignment, self.name)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def _stability(self, voice: Voice) -> float:
        """Creative (0), natural (0.5) or robust (1) for the models that know nothing between, and refuse it."""
        return round(voice.stability * 2) / 2 if self._model.startswith(_IN_STEPS) else voice.stability

    async def _lines(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        rest = b""
        pieces = self._http.stream(path, params={"output_format": f"pcm_{self.rate}"}, json=body)
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                *lines, rest = (rest + piece).split(b"\n")
                if len(rest) > _LINE_BYTES:
                    raise SynthesisError(self.name, "a piece of sound has no end")
                for line in filter(None, map(bytes.strip, lines)):
                    yield self._parsed(line)
        if rest.strip():
            yield self._parsed(rest)

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            parsed = orjson.loads(line)
        except ValueError as error:
            raise SynthesisError(self.name, f"a piece of sound is no JSON: {line[:100]!r}") from error
        return parsed if isinstance(parsed, dict) else {}


def _alignment(times: Mapping[str, Any] | None, begin: float) -> Alignment | None:
    """The times of a piece, which are counted from the beginning of the whole, from the beginning of the piece."""
    if not times:
        return None
    starts = [round((start - begin) * 1_000) for start in times["character_start_times_seconds"]]
    ends = [round((end - begin) * 1_000) for end in times["character_end_times_seconds"]]
    durations = [end - start for start, end in zip(starts, ends, strict=True)]
    return Alignment(tuple(times["characters"]), tuple(max(0, start) for start in starts), tuple(durations))
