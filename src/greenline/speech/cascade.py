"""When one provider fails, the next one hears or speaks: a person gets an answer, not silence.

A provider that failed rests for a while: it is asked last, so that each sentence does not wait for it again. Errors
are logged here; only when all have failed the caller gets one, the first.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias, TypeVar

import httpx2
import structlog

from greenline.clock import Clock
from greenline.reader import Reader
from greenline.speech.buffered import MAX_UTTERANCE_SECONDS
from greenline.speech.errors import AudioError, RecognitionError, SpeechError, SynthesisError
from greenline.speech.metrics import FAILURES, HEARD, SOUND_AFTER, SPOKEN, TEXT_AFTER, provider_of
from greenline.speech.models import (
    HEARING_RATE,
    Chunk,
    Hint,
    Recogniser,
    RecognitionOptions,
    RecognitionStream,
    Synthesiser,
    Transcript,
    Voice,
)
from greenline.speech.progress import Progress
from greenline.speech.resample import Resampler
from greenline.speech.tags import readable
from greenline.speech.usage import SpeechUsage

log = structlog.get_logger(__name__)

REST: Final = timedelta(seconds=30)
"""Long enough that a conversation does not stumble at each sentence, short enough to return to the better voice."""
_MAX_BYTES: Final = MAX_UTTERANCE_SECONDS * HEARING_RATE * 2
_BYTES_PER_SAMPLE: Final = 2
_Opener: TypeAlias = Callable[[], AsyncGenerator[RecognitionStream, None]]
"""Makes streams of one provider after the other; raises the first error when there are no more."""
T = TypeVar("T", Recogniser, Synthesiser)


class Rests:
    """Which providers have failed lately. One for a server: what fails for one person fails for others."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[str, datetime] = {}

    def order(self, candidates: Sequence[T]) -> list[T]:
        """Those that are well, then those that rest."""
        now = self._clock.now()
        return sorted(candidates, key=lambda candidate: self._until.get(candidate.name, now) > now)

    def failed(self, name: str, error: SpeechError) -> None:
        """Let a provider rest, unless it was only this request: one agent's wrong voice is nothing to the others."""
        log.warning("speech.provider_failed", provider=name, error=str(error))
        FAILURES.labels(provider_of(name)).inc()
        now = self._clock.now()
        self._until = {resting: until for resting, until in self._until.items() if until > now}
        if not error.of_request:
            self._until[name] = now + REST


class SynthesiserCascade:
    """A `Synthesiser` over several; all speak at the rate of the first."""

    def __init__(self, candidates: Sequence[Synthesiser], rests: Rests, *, seconds: float) -> None:
        """``seconds`` is how long a person waits for the next piece before another provider goes on.

        Where they hear it as it comes, it is also how long they wait in a whole sentence once it has begun.
        """
        self._candidates = candidates
        self._rests = rests
        self._seconds = seconds
        self.name = candidates[0].name
        self.rate = candidates[0].rate

    async def say(self, text: str, voice: Voice) -> AsyncGenerator[Chunk, None]:
        """Speak. After a failure in the middle the next one says the rest, as far as it is known what was said.

        The first is asked once more at the end where its connection or its process may only have been cut.
        """
        errors: list[SpeechError] = []
        order = self._rests.order(self._candidates)
        for candidate in (*order, order[0]):
            if len(errors) == len(order) and not _passes(errors[0]):
                break
            text = readable(candidate.name, text)
            if not text:
                return
            resampler = Resampler(candidate.rate, self.rate)
            spoken = Progress(candidate, text, voice.speed)
            try:
                async with contextlib.aclosing(self._pieces(candidate, text, voice)) as chunks:
                    async for chunk in chunks:
                        spoken.add(chunk)
                        yield Chunk(resampler.push(chunk.pcm), chunk.alignment, chunk.provider or candidate.name)
                tail = resampler.flush()
                if tail:
                    yield Chunk(tail, None, candidate.name)
                spoken.end()
            except SpeechError as error:
                self._rests.failed(candidate.name, error)
                errors.append(error)
                text = spoken.rest
                if not text.strip():
                    return
            else:
                return
        raise errors[0]

    async def aclose(self) -> None:
        """The candidates belong to the server: it closes them."""

    async def _pieces(self, candidate: Synthesiser, text: str, voice: Voice) -> AsyncGenerator[Chunk, None]:
        usage, name = voice.usage or SpeechUsage(), candidate.name
        chunks = Reader(candidate.say(text, voice), f"speech of {name}")
        characters = len(text)
        silent = any(char.isalnum() for char in text)
        began = time.perf_counter()
        now, behind = asyncio.get_running_loop().time, -(voice.ahead or 0.0)
        try:
            while True:
                asked = now()
                async with asyncio.timeout(self._seconds):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    if silent:
                        raise SynthesisError(name, "the answer has no sound", of_request=True)
                    return
                behind += now() - asked
                if silent:  # the wait for the first sound has a limit of its own
                    behind = min(behind, 0.0)
                if voice.ahead is not None and behind > self._seconds:
                    raise SynthesisError(name, f"slower than it plays by {self._seconds:.0f} s") from TimeoutError()
                silent = silent and not chunk.pcm
                if characters:
                    SOUND_AFTER.labels(provider_of(name)).observe(time.perf_counter() - began)
                seconds = len(chunk.pcm) / _BYTES_PER_SAMPLE / candidate.rate
                behind -= seconds
                usage.spoken_characters[name] += characters
                usage.spoken_seconds[name] += seconds
                SPOKEN.labels(provider_of(name)).inc(seconds)
                characters = 0
                yield chunk
        except TimeoutError as error:
            raise SynthesisError(name, f"no sound for {self._seconds:.0f} s") from error
        finally:
            await chunks.aclose()


def _passes(error: SpeechError) -> bool:
    """Whether the same request may go well at once: who was slow or unwilling will be so again."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, TimeoutError | httpx2.TimeoutException):
        cause = cause.__cause__
    return not error.of_request and cause is None


class RecogniserCascade:
    """A `Recogniser` over several."""

    def __init__(self, candidates: Sequence[Recogniser], rests: Rests, *, seconds: float) -> None:
        """``seconds`` is how long the end of an utterance waits for its text before another provider is asked."""
        self._candidates = candidates
        self._rests = rests
        self._seconds = seconds
        self.name = candidates[0].name

    async def open(self, options: RecognitionOptions) -> RecognitionStream:
        """A stream at the first that opens; another takes its place when it fails, with what it has not finished."""
        opener, usage = self._opener(options), options.usage or SpeechUsage()
        async with contextlib.aclosing(opener()) as streams:
            first = await anext(streams)
        return _StreamCascade(opener, first, self._rests, self._seconds, usage)

    async def transcribe(self, audio: bytes, mime_type: str, options: RecognitionOptions) -> Transcript:
        """A recording, by the first who manages; the first is asked once more at the end, as in speaking."""
        errors: list[SpeechError] = []
        order = self._rests.order(self._candidates)
        for candidate in (*order, order[0]):
            if len(errors) == len(order) and not _passes(errors[0]):
                break
            try:
                transcript = await candidate.transcribe(audio, mime_type, options)
            except AudioError:
                raise  # no provider hears what is no sound
            except SpeechError as error:
                self._rests.failed(candidate.name, error)
                errors.append(error)
            else:
                HEARD.labels(provider_of(candidate.name)).inc(transcript.seconds)
                if options.usage is not None:
                    options.usage.transcribed_seconds[transcript.provider] += transcript.seconds
                return transcript
        raise errors[0]

    async def aclose(self) -> None:
        """The candidates belong to the server: it closes them."""

    def _opener(self, options: RecognitionOptions) -> _Opener:
        async def streams() -> AsyncGenerator[RecognitionStream, None]:
            """A stream of each; the first is tried again at the end, as a connection may only have been cut."""
            errors: list[SpeechError] = []
            order = self._rests.order(self._candidates)
            for candidate in (*order, order[0]):
                try:
                    async with asyncio.timeout(self._seconds):
                        stream = await candidate.open(options)
                except SpeechError as error:
                    errors.append(error)
                except TimeoutError:
                    errors.append(RecognitionError(candidate.name, f"not reached in {self._seconds:.0f} s"))
                else:
                    yield stream
                    continue
                self._rests.failed(candidate.name, errors[-1])
            if errors:
                raise errors[0]

        return streams


class _StreamCascade:
    """Keeps what the utterance holds so far, so that another stream can hear it again."""

    def __init__(
        self,
        opener: _Opener,
        first: RecognitionStream,
        rests: Rests,
        seconds: float,
        usage: SpeechUsage,
    ) -> None:
        self._usage = usage
        self._opener = opener
        self._stream = first
        self._rests = rests
        self._seconds = seconds
        self._sound = bytearray()
        self._deaf: SpeechError | None = None
        """Why the stream hears nothing any more, until another has taken its place."""
        self._replaced = asyncio.Event()
        self._leaving: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def provider(self) -> str:
        return self._stream.provider

    def push(self, pcm: bytes) -> None:
        if len(self._sound) + len(pcm) <= _MAX_BYTES:
            self._sound += pcm
        if self._deaf is None:
            self._push(pcm)

    async def finish(self) -> str:
        sound = bytes(self._sound)
        self._sound.clear()
        if self._deaf is None:
            try:
                return await self._finish(self._stream)
            except SpeechError as error:
                self._rests.failed(self._stream.provider, error)
                self._deaf = error
        return await self._again(sound, self._deaf)

    async def hints(self) -> AsyncIterator[Hint]:
        while not self._closed:
            self._replaced.clear()
            async for hint in self._stream.hints():
                yield hint
            await self._replaced.wait()

    async def aclose(self) -> None:
        self._closed = True
        self._replaced.set()
        await asyncio.gather(self._stream.aclose(), *self._leaving)

    def _leave(self, stream: RecognitionStream) -> None:
        """Close it beside what follows: one that hangs takes its time for that as well."""
        task = asyncio.create_task(stream.aclose())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _again(self, sound: bytes, first: SpeechError) -> str:
        """Let others hear the utterance. Raises the first error when nobody understood."""
        self._leave(self._stream)
        with contextlib.suppress(SpeechError):
            async with contextlib.aclosing(self._opener()) as streams:
                async for stream in streams:
                    self._stream = stream
                    self._replaced.set()
                    try:
                        return await self._hear_again(sound)
                    except SpeechError as error:
                        self._rests.failed(stream.provider, error)
                        self._deaf = error
                        self._leave(stream)
        raise first

    async def _hear_again(self, sound: bytes) -> str:
        """What the new stream makes of the utterance. What was said since its end comes after it."""
        self._push(sound)
        finishing = asyncio.create_task(self._finish(self._stream))
        await asyncio.sleep(0)  # it has begun: now another utterance may follow
        self._push(bytes(self._sound))
        self._deaf = None
        try:
            return await finishing
        finally:
            finishing.cancel()

    def _push(self, pcm: bytes) -> None:
        seconds = len(pcm) / _BYTES_PER_SAMPLE / HEARING_RATE
        self._usage.heard_seconds[self._stream.provider] += seconds
        HEARD.labels(provider_of(self._stream.provider)).inc(seconds)
        self._stream.push(pcm)

    async def _finish(self, stream: RecognitionStream) -> str:
        try:
            with TEXT_AFTER.labels(provider_of(stream.provider)).time():
                async with asyncio.timeout(self._seconds):
                    return await stream.finish()
        except TimeoutError as error:
            raise RecognitionError(stream.provider, f"no text for {self._seconds:.0f} s") from error
