"""What the agent says aloud in one turn: sentences in, speech out."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Final

import structlog

from greenline.channels.live.models import AudioOut
from greenline.channels.live.said import Piece, Said
from greenline.speech.aloud import speakable
from greenline.speech.errors import SpeechError, SynthesisError
from greenline.speech.models import HEARING_RATE, Alignment, Chunk, Speech, Voice
from greenline.speech.resample import Resampler
from greenline.speech.sentences import Sentences

log = structlog.get_logger(__name__)

BYTES_PER_SAMPLE: Final = 2
MOST_FAILURES: Final = 2
"""Sentences in a row that nobody could speak: the rest of the answer is not tried, nor after one waited in vain."""
AHEAD_SECONDS: Final = 20.0
"""Written ahead of its playback before the next sentence, of 20 s at most, is begun: what waits for a client has a
limit (5 MB of 48 kHz then), and a provider is paid for what is cut off as well."""
SOUND_AFTER_SECONDS: Final = 0.3
"""A tool that takes no longer is not accompanied."""
SOUND_SECONDS: Final = 0.1
"""Of a piece of a sound."""
SOUND_AHEAD_SECONDS: Final = 0.15
"""Written ahead of its playback; what is said next waits for it."""
UNFINISHED_SECONDS: Final = 3.0
"""For the rest of a sentence while nothing sounds; then what has come of it is spoken. Most models write one in a
second. In pieces it sounds worse, so a slow model has some time, but less than after which a line is taken for dead.
"""


class Utterance:
    """The speech of one turn: one text or several, and words beside them.

    ``voice`` is the agent's own, ``others`` are its further voices by their labels. While it is ``held`` nothing is
    written: the turn is still a guess. ``seconds`` is how long a person waits for the next sound.

    ``mark`` is told of the stages ``sentence``, ``speech``, ``written`` and, where silence came before, ``sent`` when
    each is reached for the first time.
    """

    def __init__(
        self,
        event_id: int,
        out: AudioOut,
        speech: Speech,
        voice: Voice,
        others: Mapping[str, Voice],
        *,
        seconds: float,
        held: bool = False,
        mark: Callable[[str], None] = lambda stage: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._event_id = event_id
        self._out = out
        self._speech = speech
        self._voice = self._speaker = voice
        self._others = others
        self._seconds = seconds
        self._held: list[tuple[Piece, bytes, Alignment | None]] | None = [] if held else None
        self._mark = mark
        self._now = now
        self._marked: set[str] = set()
        self._sentences = Sentences()
        self._unfinished_since: float | None = None
        self._text = 0
        self._text_begun = False
        self._queue: asyncio.Queue[Piece | None] = asyncio.Queue()
        self.said = Said()
        self._aligned: Piece | None = None
        """Of which characters were written last."""
        self._accompanied: Piece | None = None
        """The sound that is heard, or is about to be."""
        self._task = asyncio.create_task(self._run())
        self.failure: SpeechError | None = None
        """Why not all of it was spoken."""

    def feed(self, text: str, label: str | None = None) -> None:
        """A piece of the text, for the voice of ``label``."""
        speaker = self._voice_of(label)
        if speaker is not self._speaker:
            self._flush()
            self._speaker = speaker
        sentences = self._sentences.push(text)
        for sentence in sentences:
            self._put_sentence(sentence)
        if not self._sentences.unfinished:
            self._unfinished_since = None
        elif sentences or self._unfinished_since is None:
            self._unfinished_since = self._now()

    def speak_as(self, voice: Voice, others: Mapping[str, Voice]) -> None:
        """What follows is said by other voices."""
        self._flush()
        self._voice = self._speaker = voice
        self._others = others

    def pause(self) -> None:
        """What follows is another text: speak what is there."""
        self._flush()
        self._text += self._text_begun
        self._text_begun = False

    def interject(self, words: str, label: str | None = None, name: str = "") -> None:
        """Words that are no part of any text, such as those that bridge a slow model. A sound goes on after them.

        What was heard of them is told by their ``name``.
        """
        accompanied = self._accompanied
        self.hush()
        self._put(Piece(words, None, self._voice_of(label), beside=name))
        if accompanied is not None:
            self.accompany(accompanied.sound)

    def accompany(self, sound: bytes) -> None:
        """After what is to be said so far, ``sound`` (at `HEARING_RATE`) over and over until `hush`."""
        self.hush()
        self._accompanied = Piece("", None, self._voice, whole=True, sound=sound, hushed=asyncio.Event())
        self.said.add(self._accompanied)
        self._queue.put_nowait(self._accompanied)

    def hush(self) -> None:
        """No such sound any more."""
        if self._accompanied is not None and self._accompanied.hushed is not None:
            self._accompanied.hushed.set()
        self._accompanied = None

    async def quiet(self) -> None:
        """Return when all that is to be said so far was heard."""
        self._flush()
        spoken = asyncio.create_task(self._queue.join())
        try:
            await asyncio.wait({spoken, self._task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            spoken.cancel()
        while (left := self._out.queued) > 0:  # noqa: ASYNC110 - playback gives no event, it takes its time
            await asyncio.sleep(left)

    def finish(self) -> None:
        """No more text comes."""
        self.pause()
        self._queue.put_nowait(None)

    def release(self) -> None:
        """The turn is no guess any more: write what was held."""
        held, self._held = self._held or [], None
        for piece, pcm, alignment in held:
            self._write(piece, pcm, alignment)

    async def spoken(self) -> None:
        """Return when everything is written, or `failure` tells why not."""
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.result()

    def cut(self) -> list[str]:
        """Stop at once; returns what of each text was heard."""
        self._task.cancel()
        self.said.unplayed = self._out.clear() if self._held is None else math.inf
        return self.said.heard()

    def _voice_of(self, label: str | None) -> Voice:
        return self._others.get(label, self._voice) if label is not None else self._voice

    def _flush(self) -> None:
        for sentence in self._sentences.flush():
            self._put_sentence(sentence)
        self._unfinished_since = None

    def _put_sentence(self, sentence: str) -> None:
        if sentence.strip():
            self._text_begun = True
            self._put(Piece(sentence, self._text, self._speaker))

    def _put(self, piece: Piece) -> None:
        self._reached("sentence")
        self.said.add(piece)
        self._queue.put_nowait(piece)

    def _reached(self, stage: str) -> None:
        if stage not in self._marked:
            self._marked.add(stage)
            self._mark(stage)

    async def _run(self) -> None:
        failures = 0
        while (piece := await self._take()) is not None:
            if piece.hushed is not None:
                await self._sound(piece, piece.hushed)
            elif failures < MOST_FAILURES:
                await self._wait_for_playback()
                failures = await self._try(piece, failures)
            self._queue.task_done()
        if failures:
            self._say_spare()

    async def _take(self) -> Piece | None:
        """The next piece. Of a sentence that does not go on it is what has come of it, once nothing sounds."""
        while True:
            try:
                async with asyncio.timeout(max(self._out.queued, self._patience())):
                    return await self._queue.get()
            except TimeoutError:
                if self._patience() <= 0:
                    self._put_sentence(self._sentences.words())
                    self._unfinished_since = self._now() if self._sentences.unfinished else None

    def _patience(self) -> float:
        """Seconds for which an unfinished sentence may wait, or the next one."""
        waited = 0.0 if self._unfinished_since is None else self._now() - self._unfinished_since
        return UNFINISHED_SECONDS - waited

    async def _wait_for_playback(self) -> None:
        while (ahead := self._out.queued - AHEAD_SECONDS) > 0:  # noqa: ASYNC110 - playback gives no event
            await asyncio.sleep(ahead)

    async def _try(self, piece: Piece, failures: int) -> int:
        """Say it; how many have failed in a row by now."""
        piece.begun = True
        try:
            await self._say(piece)
        except SpeechError as error:
            log.warning("speech.failed", error=str(error))
            self.failure = self.failure or error
            return MOST_FAILURES if isinstance(error.__cause__, TimeoutError) else failures + 1
        piece.whole = True
        return 0

    async def _sound(self, piece: Piece, hushed: asyncio.Event) -> None:
        """Not at once: a tool that answers at once is not accompanied."""
        piece.begun = True
        resampler = Resampler(HEARING_RATE, self._out.rate)
        size, wait = int(HEARING_RATE * SOUND_SECONDS) * BYTES_PER_SAMPLE, self._out.queued + SOUND_AFTER_SECONDS
        for at in itertools.cycle(range(0, len(piece.sound), size)):
            if await _within(hushed, wait):
                return
            pcm = resampler.push(piece.sound[at : at + size])
            piece.seconds += len(pcm) / BYTES_PER_SAMPLE / self._out.rate
            self._out.write(pcm, self._event_id)
            wait = max(self._out.queued - SOUND_AHEAD_SECONDS, SOUND_SECONDS / 2)

    async def _say(self, piece: Piece) -> None:
        words = speakable(piece.text)
        if not words:
            return
        piece.characters = len(words)
        synthesiser = self._speech.synthesiser(piece.voice)
        resampler = Resampler(synthesiser.rate, self._out.rate)
        chunks = synthesiser.say(words, replace(piece.voice, ahead=self._out.queued))
        try:
            while (chunk := await self._next(chunks, synthesiser.name)) is not None:
                piece.spoken_by = piece.spoken_by or chunk.provider or synthesiser.name
                piece.said += len(chunk.alignment.chars) if chunk.alignment else 0
                self._add(piece, resampler.push(chunk.pcm), chunk.alignment)
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()
        self._add(piece, resampler.flush(), None)

    async def _next(self, chunks: AsyncIterator[Chunk], speaker: str) -> Chunk | None:
        try:
            async with asyncio.timeout(self._seconds):
                return await anext(chunks, None)
        except TimeoutError as error:
            raise SynthesisError(speaker, f"nobody spoke within {self._seconds:.0f} s") from error

    def _say_spare(self) -> None:
        """The last that was to be said was not: a person on a telephone takes silence for a dead line."""
        piece = Piece("", None, self._voice, begun=True, whole=True)
        self.said.add(piece)
        self._add(piece, self._speech.spare(self._voice, self._out.rate), None)

    def _add(self, piece: Piece, pcm: bytes, alignment: Alignment | None) -> None:
        if not pcm:
            return
        self._reached("speech")
        piece.seconds += len(pcm) / BYTES_PER_SAMPLE / self._out.rate
        if self._held is not None:
            self._held.append((piece, pcm, alignment))
        else:
            self._write(piece, pcm, alignment)

    def _write(self, piece: Piece, pcm: bytes, alignment: Alignment | None) -> None:
        if piece.sounds_at is None:
            piece.sounds_at = self._now() + self._out.queued
        if "written" not in self._marked and self._out.queued <= 0:
            self._out.once_sounding(lambda: self._reached("sent"))
        self._out.write(pcm, self._event_id, alignment and self._spaced(piece, alignment))
        self._reached("written")

    def _spaced(self, piece: Piece, alignment: Alignment) -> Alignment:
        """With the space between two sentences, which no voice speaks: clients put the characters together."""
        before, self._aligned = self._aligned, piece
        if before is None or before is piece:
            return alignment
        if before.part_of == piece.part_of and not before.text[-1:].isspace():
            return alignment
        start = next(iter(alignment.starts_ms), 0)
        return Alignment((" ", *alignment.chars), (start, *alignment.starts_ms), (0, *alignment.durations_ms))


async def _within(event: asyncio.Event, seconds: float) -> bool:
    """Whether it happens in that time."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
