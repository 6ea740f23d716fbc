"""What the agent says aloud in one turn: sentences in, speech out, and how much of it was heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from greenline.channels.live.models import AudioOut
from greenline.speech.aloud import speakable
from greenline.speech.errors import SpeechError
from greenline.speech.models import Alignment, Speech, Voice
from greenline.speech.resample import Resampler
from greenline.speech.sentences import Sentences

log = structlog.get_logger(__name__)

BYTES_PER_SAMPLE = 2


@dataclass(slots=True)
class _Piece:
    """A sentence, and the seconds of speech that were written for it."""

    text: str
    seconds: float = 0.0


class Utterance:
    """The speech of one turn. While it is ``held`` nothing is written: the turn is still a guess.

    ``mark`` is told of the stages ``sentence``, ``speech``, ``written`` and, where silence came before, ``sent`` when
    each is reached for the first time.
    """

    def __init__(
        self,
        event_id: int,
        out: AudioOut,
        speech: Speech,
        voice: Voice,
        *,
        held: bool = False,
        mark: Callable[[str], None] = lambda stage: None,
    ) -> None:
        self._event_id = event_id
        self._out = out
        self._speech = speech
        self._voice = voice
        self._held: list[tuple[bytes, Alignment | None]] | None = [] if held else None
        self._mark = mark
        self._marked: set[str] = set()
        self._sentences = Sentences()
        self._texts: asyncio.Queue[str | None] = asyncio.Queue()
        self._pieces: list[_Piece] = []
        self._task = asyncio.create_task(self._run())
        self.failure: SpeechError | None = None
        """Why it was not spoken to its end."""

    def feed(self, text: str) -> None:
        """A piece of the text."""
        for sentence in self._sentences.push(text):
            self._put(sentence)

    def pause(self) -> None:
        """What follows is another text: speak what is there."""
        for sentence in self._sentences.flush():
            self._put(sentence)

    def finish(self) -> None:
        """No more text comes."""
        self.pause()
        self._texts.put_nowait(None)

    def release(self) -> None:
        """The turn is no guess any more: write what was held."""
        held, self._held = self._held or [], None
        for pcm, alignment in held:
            self._write(pcm, alignment)

    async def spoken(self) -> None:
        """Return when everything is written, or `failure` tells why not."""
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.result()

    def cut(self) -> str:
        """Stop at once; returns what of the text was heard."""
        self._task.cancel()
        unplayed = self._out.clear() if self._held is None else 0.0
        written = sum(piece.seconds for piece in self._pieces)
        return self._heard(max(0.0, written - unplayed) if self._held is None else 0.0)

    def _heard(self, seconds: float) -> str:
        found = []
        for piece in self._pieces:
            if piece.seconds > seconds + 0.02:
                words = piece.text.split()
                found.append(" ".join(words[: int(len(words) * seconds / piece.seconds)]))
                break
            found.append(piece.text.strip())
            seconds -= piece.seconds
        return " ".join(part for part in found if part)

    def _put(self, sentence: str) -> None:
        self._reached("sentence")
        self._texts.put_nowait(sentence)

    def _reached(self, stage: str) -> None:
        if stage not in self._marked:
            self._marked.add(stage)
            self._mark(stage)

    async def _run(self) -> None:
        while (sentence := await self._texts.get()) is not None:
            words = speakable(sentence)
            if not words or self.failure is not None:
                continue
            try:
                await self._say(words, sentence)
            except SpeechError as error:
                log.warning("speech.failed", error=str(error))
                self.failure = error

    async def _say(self, words: str, sentence: str) -> None:
        piece = _Piece(sentence)
        self._pieces.append(piece)
        synthesiser = self._speech.synthesiser(self._voice)
        resampler = Resampler(synthesiser.rate, self._out.rate)
        async for chunk in synthesiser.say(words, self._voice):
            self._add(piece, resampler.push(chunk.pcm), chunk.alignment)
        self._add(piece, resampler.flush(), None)

    def _add(self, piece: _Piece, pcm: bytes, alignment: Alignment | None) -> None:
        if not pcm:
            return
        self._reached("speech")
        piece.seconds += len(pcm) / BYTES_PER_SAMPLE / self._out.rate
        if self._held is not None:
            self._held.append((pcm, alignment))
        else:
            self._write(pcm, alignment)

    def _write(self, pcm: bytes, alignment: Alignment | None) -> None:
        if "written" not in self._marked and self._out.queued <= 0:
            self._out.once_sounding(lambda: self._reached("sent"))
        self._out.write(pcm, self._event_id, alignment)
        self._reached("written")
