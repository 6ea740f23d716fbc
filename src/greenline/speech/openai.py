"""OpenAI's audio API, which many servers speak: Whisper and voices behind one's own address too."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any, Final

from greenline.llm.errors import ModelError
from greenline.llm.sdk import Address, SdkClient
from greenline.speech.buffered import BufferedStream
from greenline.speech.errors import AudioError, RecognitionError, SpeechError, SynthesisError
from greenline.speech.http import is_text, message_of
from greenline.speech.models import HEARING_RATE, Chunk, RecognitionOptions, RecognitionStream, Transcript, Voice
from greenline.speech.notes import decode_recording
from greenline.speech.pcm import whole_samples
from greenline.speech.voices import provider_voice
from greenline.speech.wav import encode_wav

SPEAKING_RATE: Final = 24_000
"""OpenAI's ``pcm`` format has no other rate."""
DEFAULT_VOICE: Final = "alloy"
_PIECE_BYTES: Final = 4_800
"""A tenth of a second: small enough to begin early."""
_FILES: Final[Mapping[str, str]] = {
    "audio/ogg": "ogg",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/wav": "wav",
    "audio/webm": "webm",
}
"""Recordings that are taken as they are; the API judges by the name of the file. Others go as WAV."""
_BEGINNINGS: Final = (b"RIFF", b"ID3", b"OggS", b"fLaC")
"""Of files in other formats than the one asked for: LocalAI answers with WAV, at the rate of its voice."""


class OpenAiRecogniser:
    """A `Recogniser` that is asked once for each utterance."""

    def __init__(self, name: str, model: str, address: Address, *, seconds: float) -> None:
        """``name`` is the provider's; ``seconds`` is for a whole recording, an utterance has less (the cascade's)."""
        self.name = f"{name}:{model}"
        self._model = model
        self._sdk = SdkClient(address, seconds=seconds)

    async def open(self, options: RecognitionOptions) -> RecognitionStream:
        """A stream that keeps an utterance until it ends."""

        async def recognise(pcm: bytes) -> str:
            return await self._transcribe(encode_wav(pcm, HEARING_RATE), "wav", options)

        return BufferedStream(self.name, recognise)

    async def transcribe(self, audio: bytes, mime_type: str, options: RecognitionOptions) -> Transcript:
        """A recording, as it is if the API takes its format."""
        recording = await asyncio.to_thread(decode_recording, audio)
        extension = _FILES.get(mime_type.partition(";")[0].strip())
        file = audio if extension else encode_wav(recording.pcm, HEARING_RATE)
        text = await self._transcribe(file, extension or "wav", options)
        return Transcript(text, recording.seconds, self.name)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sdk.aclose()

    async def _transcribe(self, file: bytes, extension: str, options: RecognitionOptions) -> str:
        hints: dict[str, Any] = {}
        if options.sole_language:
            hints["language"] = options.sole_language
        if options.keywords:
            hints["prompt"] = ", ".join(options.keywords)
        with _errors(self._sdk, self.name, RecognitionError):
            client = await self._sdk.open()
            answer = await client.audio.transcriptions.create(
                file=(f"speech.{extension}", file),
                model=self._model,
                response_format="json",
                extra_headers=self._sdk.call_headers(),
                **hints,
            )
            return _text(answer)


class OpenAiSynthesiser:
    """A `Synthesiser`."""

    rate = SPEAKING_RATE

    def __init__(self, name: str, model: str, address: Address, *, seconds: float, voices: Mapping[str, str]) -> None:
        """``name`` is the provider's, ``voices`` the map of the settings."""
        self.name = f"{name}:{model}"
        self._provider = name
        self._model = model
        self._voices = voices
        self._sdk = SdkClient(address, seconds=seconds)

    async def say(self, text: str, voice: Voice) -> AsyncGenerator[Chunk, None]:
        """Speak, as the sound comes."""
        with _errors(self._sdk, self.name, SynthesisError):
            async with contextlib.aclosing(whole_samples(self._stream(text, voice))) as pieces:
                async for pcm in pieces:
                    yield Chunk(pcm, None, self.name)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._sdk.aclose()

    async def _stream(self, text: str, voice: Voice) -> AsyncGenerator[bytes, None]:
        client = await self._sdk.open()
        from openai import omit

        async with client.audio.speech.with_streaming_response.create(
            model=self._model,
            voice=provider_voice(self._voices, self._provider, voice.voice_id) or DEFAULT_VOICE,
            input=text,
            response_format="pcm",
            extra_headers=self._sdk.call_headers(),
            speed=voice.speed if voice.speed != 1.0 else omit,  # newer models know no other
        ) as response:
            if is_text(response.headers):
                raise TypeError(f"text in place of sound: {message_of(await response.read())}")
            pieces = aiter(response.iter_bytes(_PIECE_BYTES))
            first = await anext(pieces, b"")
            if _begins_file(first, response.headers.get("content-type", "")):
                pcm = await self._decoded(first + b"".join([piece async for piece in pieces]))
                for at in range(0, len(pcm), _PIECE_BYTES):
                    yield pcm[at : at + _PIECE_BYTES]
                return
            yield first
            async for piece in pieces:
                yield piece

    async def _decoded(self, file: bytes) -> bytes:
        try:
            return (await asyncio.to_thread(decode_recording, file, rate=SPEAKING_RATE)).pcm
        except AudioError as error:
            raise SynthesisError(self.name, f"the sound can't be read: {error}") from error


def _begins_file(first: bytes, content_type: str) -> bool:
    """An MP3 may begin as PCM might: there the type has to say so."""
    frame = "mpeg" in content_type and first[:1] == b"\xff"
    return first.startswith(_BEGINNINGS) or frame


def _text(answer: Any) -> str:
    """The SDK checks nothing: whatever a server sent is in the fields."""
    if not isinstance(answer.text, str):
        raise TypeError(f"text is {answer.text!r}")
    return answer.text.strip()


@contextlib.contextmanager
def _errors(sdk: SdkClient, name: str, kind: type[SpeechError]) -> Iterator[None]:
    try:
        with sdk.errors():
            yield
    except ModelError as error:
        raise kind(name, str(error), of_request=error.kind == "bad_request") from error
