"""The hearing half of a voice session: sound in, moments and recognised words out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Final, Protocol

import structlog

from greenline.channels.live.ears import Ears, Moment
from greenline.channels.live.opening import OpeningStream
from greenline.channels.live.unheard import Unheard
from greenline.clock import Clock
from greenline.speech.end_of_turn import EndOfTurnDetector
from greenline.speech.errors import RecognitionError, SpeechError
from greenline.speech.models import Partial, RecognitionOptions, RecognitionStream, Speech, TurnResumed

log = structlog.get_logger(__name__)

LAST_TEXT_SECONDS: Final = 1.0
"""Text is there within 0.3 s of its sound as a rule; the end of the conversation waits for it."""


class Hearer(Protocol):
    """Who is told what a person says."""

    def voice_began(self) -> None:
        """The person begins to speak."""
        ...

    def seems_to_say(self, text: str) -> None:
        """What the utterance seems to be so far."""
        ...

    def may_have_said(self, text: str) -> None:
        """The person pauses; ``text`` is all of the turn so far."""
        ...

    def goes_on(self) -> None:
        """The person speaks on after a pause."""
        ...

    def has_said(self, text: str, seconds: float) -> None:
        """The person has finished. Empty when no words were understood in ``seconds`` of voice."""
        ...

    def is_deaf(self, error: BaseException, text: str = "") -> None:
        """Recognition failed. Of what the person has said no more than ``text`` was understood."""
        ...

    def window(self, score: float) -> None:
        """The probability of voice in the last window."""
        ...

    def may_be_over(self, probability: float) -> None:
        """How likely it is that the person has finished, 0 to 1."""
        ...


class Listening:
    """Recognition of one session. `begin` before sound is given, `aclose` at the end.

    Voice counts that lasts for ``begin`` seconds, ``end`` judges when the person has finished, and ``seconds`` is how
    long they wait for the text of what they said. With ``hears_again`` sound without voice is
    kept for `hear_again`.
    """

    def __init__(
        self,
        speech: Speech,
        options: RecognitionOptions,
        end: EndOfTurnDetector,
        hearer: Hearer,
        clock: Clock,
        now: Callable[[], float],
        *,
        begin: float,
        seconds: float,
        hears_again: bool = False,
    ) -> None:
        self._speech = speech
        self._options = options
        self._end = end
        self._begin = begin
        self._hearer = hearer
        self._clock = clock
        self._now = now
        self._seconds = seconds
        self._texts: list[str] = []
        self._error: SpeechError | None = None
        """Why a part of the turn is not among its texts."""
        self._finished = False
        self._voiced_seconds = 0.0
        """How much voice there was in the turn that is finished."""
        self._judge = ""
        """The recogniser that tells how likely the end of a turn is; empty while none does."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._finishing: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._unheard = Unheard() if hears_again else None
        self._is_outdated = False
        """Whether other options are waiting for the end of what the person says."""
        self._stream: RecognitionStream | None = None
        self._ears: Ears | None = None
        self.began_at: float | None = None
        """When what the person says began, until all of it is told."""
        self.paused_at = 0.0
        """When the person was silent for long enough to ask what they said."""

    @property
    def last_voice_at(self) -> float:
        """When the last voiced sound came."""
        return self._ears.last_voice_at if self._ears else 0.0

    @property
    def recogniser(self) -> str:
        """Who hears now; empty while nobody does."""
        return self._stream.provider if self._stream is not None else ""

    @property
    def hears_voice(self) -> bool:
        """Whether the person speaks, pauses included."""
        return self._ears is not None and self._ears.speaking

    @property
    def busy(self) -> bool:
        """Whether the person speaks, or what they said last is still being recognised."""
        recognising = self._finishing is not None and not self._finishing.done()
        return recognising or self.hears_voice

    def begin(self) -> None:
        """Begin to listen; recognition is opened meanwhile.

        Raises `greenline.speech.errors.SpeechError` where there is no detector of voice.
        """
        detector = self._speech.detector()
        self._stream = OpeningStream(self._open, self._clock.sleep)
        self._ears = Ears(
            detector,
            self._stream,
            self._end,
            begin=self._begin,
            now=self._now,
            tell=self._moment,
            score=self._hearer.window,
            over=self._may_be_over,
        )
        self._spawn(self._ears.tick())
        self._following = self._spawn(self._follow(self._stream))

    def expect(self, options: RecognitionOptions) -> None:
        """Recognise by other options, from the next utterance on."""
        if options != self._options:
            self._options, self._is_outdated = options, True
            self._renew()

    def hear(self, pcm: bytes, of_seconds: float | None = None) -> None:
        """Sound at `greenline.speech.models.HEARING_RATE`; ``of_seconds`` is as in `Ears.hear`."""
        if self._unheard is not None:
            self._unheard.keep(pcm)
        if self._ears is not None:
            self._ears.hear(pcm, of_seconds)

    def begin_turn(self) -> None:
        """It is the person's turn: what came before it was none of theirs."""
        if self._unheard is not None:
            self._unheard.forget()

    async def finish(self) -> None:
        """The conversation is over: tell what the person was saying, as far as it is text in `LAST_TEXT_SECONDS`."""
        if self._ears is not None:
            self._ears.finish()
        try:
            if self._finishing is not None and not self._finishing.done():
                await asyncio.wait({self._finishing}, timeout=LAST_TEXT_SECONDS)
        finally:
            if self._texts:
                self._tell_all()

    async def hear_again(self) -> str:
        """What was said in this turn without a voice being detected; empty as a rule."""
        if self._unheard is None:
            return ""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._unheard.words(self._speech, self._options)
        except TimeoutError:
            return ""

    async def aclose(self) -> None:
        """Let go of recognition."""
        self._is_outdated = False
        for task in self._tasks:
            task.cancel()
        try:
            await asyncio.gather(*self._tasks, *self._closing, return_exceptions=True)
        finally:
            if self._stream is not None:
                await self._stream.aclose()

    async def _open(self) -> RecognitionStream:
        return await self._speech.recogniser(self._options).open(self._options)

    def _renew(self) -> None:
        """Open another stream in place of the one that is there, unless it has something to hear."""
        ears, stream = self._ears, self._stream
        if not self._is_outdated or ears is None or stream is None or self.busy:
            return
        self._is_outdated, self._judge = False, ""
        self._stream = OpeningStream(self._open, self._clock.sleep)
        ears.listen_by(self._stream)
        if self._following is not None:
            self._following.cancel()
        self._following = self._spawn(self._follow(self._stream))
        closing = asyncio.create_task(stream.aclose())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _moment(self, moment: Moment) -> None:
        match moment:
            case Moment.BEGAN:
                assert self._ears is not None  # noqa: S101 - they tell it
                self._finished = False
                self.began_at = self._ears.began_at if self.began_at is None else self.began_at
                self.begin_turn()
                self._hearer.voice_began()
            case Moment.PAUSED:
                self.paused_at = self._now()
                self._finishing = self._spawn(self._recognise(self._finishing))
            case Moment.RESUMED:
                self._hearer.goes_on()
            case Moment.FINISHED:
                assert self._ears is not None  # noqa: S101 - they tell it
                self._finished, self._voiced_seconds = True, self._ears.voiced_seconds
                if self._finishing is None or self._finishing.done():
                    self._tell_all()
                    self._renew()

    async def _recognise(self, before: asyncio.Task[None] | None) -> None:
        assert self._stream is not None  # noqa: S101 - the ears exist only with it
        if before is not None and not before.done():
            await asyncio.wait({before})
        # Who has to be told that they were not understood does not wait for the rest of what they said.
        seconds = self._seconds if self._error is None else min(LAST_TEXT_SECONDS, self._seconds)
        try:
            async with asyncio.timeout(seconds):
                text = (await self._stream.finish()).strip()
        except TimeoutError:
            text = self._fail(RecognitionError(self._stream.provider, f"no text in {seconds:.0f} s"))
        except SpeechError as error:
            text = self._fail(error)
        if text:
            self._texts.append(text)
        if asyncio.current_task() is not self._finishing:
            return  # they have said more since: who waits for that tells all of it
        if self._finished:
            self._tell_all()
        elif self._texts and self._error is None:
            self._end.said(text)
            self._hearer.may_have_said(" ".join(self._texts))

    def _fail(self, error: SpeechError) -> str:
        """The person is told once, when they have finished: they may only have paused."""
        log.warning("recognition.failed", error=str(error))
        self._error = self._error or error
        return ""

    def _tell_all(self) -> None:
        """What they have said, unless it is not all: an answer to the half of a sentence may be a wrong one."""
        text, error = " ".join(self._texts), self._error
        self._texts, self._error, self._finished = [], None, False
        if error is None:
            self._hearer.has_said(text, self._voiced_seconds)
        else:
            self._hearer.is_deaf(error, text)
        self.began_at = None

    async def _follow(self, stream: RecognitionStream) -> None:
        async for hint in stream.hints():
            if not isinstance(hint, TurnResumed) and hint.over is not None:
                self._judge = stream.provider
                self._hearer.may_be_over(hint.over)
            if isinstance(hint, Partial):
                if self.began_at is None:
                    continue  # of what was told already: it would cut the answer to itself
                self._end.said(hint.text)
                self._hearer.seems_to_say(" ".join([*self._texts, hint.text]))
            elif self._ears is not None and (verdict := self._end.told(hint)) is not None:
                self._ears.judge(verdict)

    def _may_be_over(self, probability: float) -> None:
        """What the silence tells; a recogniser that knows words knows better, until another takes over from it."""
        if self._stream is None or not self._judge or self._stream.provider != self._judge:
            self._hearer.may_be_over(probability)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        """A fault of our own, or of a provider's library, must not leave a person unheard without a word."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("listening.failed", exc_info=error)
            if task is self._finishing:
                self._texts, self._error, self._finished, self.began_at = [], None, False, None
            self._hearer.is_deaf(error)
        self._renew()
