"""From the sound of a person to the moments that matter: they begin to speak, pause, go on, have finished."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import numpy as np

from greenline.speech.end_of_turn import EndOfTurnDetector, Verdict
from greenline.speech.models import HEARING_RATE, RecognitionStream, VoiceDetector

WINDOW_SECONDS: Final = 0.032
TICK_SECONDS: Final = 0.02
GAP_SECONDS: Final = 0.08
"""The person counts as silent when the next sound is so late: lost or withheld frames must not hold a turn."""
MOST_PIECE_SECONDS: Final = 0.5
"""Clients on sockets send pieces of 250 ms (reference); a piece is due when the one before it is over."""
PREROLL_SECONDS: Final = 0.5
"""Sound before the detection that recognition gets as well: the first consonants are quiet."""
VOICED: Final = 0.5
STILL_VOICED: Final = 0.35
QUIETER: Final = 8
"""What is so many times quieter (18 dB) than the rest of the window where a voice ends came after it."""
_BYTES_PER_SECOND: Final = HEARING_RATE * 2
_ROUNDING: Final = 1e-6


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A piece of sound: where it lies, when it came, and its loudest sample."""

    begin: float
    end: float
    at: float
    peak: int


class Moment(Enum):
    """What the ears tell."""

    BEGAN = auto()
    PAUSED = auto()
    """Silent for as long as it takes to begin an answer on suspicion."""
    RESUMED = auto()
    FINISHED = auto()


class Ears:
    """Listens to one person. ``tell`` gets the moments, ``score`` every window's probability of voice.

    Voice counts that lasts for ``begin`` seconds; ``end`` judges the silence after it. ``over`` gets, while the
    person speaks, how likely it is that they have finished.
    """

    def __init__(
        self,
        detector: VoiceDetector,
        stream: RecognitionStream,
        end: EndOfTurnDetector,
        *,
        begin: float = 0.1,
        now: Callable[[], float],
        tell: Callable[[Moment], None],
        score: Callable[[float], None] = lambda score: None,
        over: Callable[[float], None] = lambda probability: None,
    ) -> None:
        self._detector = detector
        self._stream = stream
        self._end_of_turn = end
        self._begin = begin
        self._now = now
        self._tell = tell
        self._score = score
        self._over = over
        self._before: deque[bytes] = deque()
        self._kept = 0
        self._voiced = 0.0
        self._heard = self._scored = self._judged = self._voice_ended = 0.0
        """Places in the sound; it is judged beyond its end while nothing comes."""
        self._speaking = False
        self._paused = False
        self._arrivals: deque[_Arrival] = deque()
        self._arrived_at = 0.0
        self._piece_seconds = 0.0
        self.began_at = 0.0
        """When what the person says, or said last, began, by ``now``."""
        self.last_voice_at = 0.0
        """When the last sound came that held voice, by ``now``."""
        self.voiced_seconds = 0.0
        """How much voice there was in what the person says, or said last."""

    @property
    def speaking(self) -> bool:
        """Whether the person speaks, pauses included."""
        return self._speaking

    def listen_by(self, stream: RecognitionStream) -> None:
        """The next utterance is for another stream."""
        self._stream = stream

    def hear(self, pcm: bytes, of_seconds: float | None = None) -> None:
        """Sound at `HEARING_RATE`; more is not due before ``of_seconds``, where it is a part of so long a piece."""
        if not pcm:  # a client may send any number of such pieces: they fill no gap
            return
        self._arrived_at = self._now()
        seconds = len(pcm) / _BYTES_PER_SECOND if of_seconds is None else of_seconds
        self._piece_seconds = min(seconds, MOST_PIECE_SECONDS)
        self._take(pcm)

    def judge(self, verdict: Verdict) -> None:
        """What somebody else thinks who hears the person. No pause is believed while there is voice."""
        if not self._speaking:
            return
        match verdict:
            case Verdict.HAS_FINISHED:
                self._end()
            case Verdict.PAUSES if not self._paused and self._scored - self._voice_ended > _ROUNDING:
                self._paused = True
                self._tell(Moment.PAUSED)
            case Verdict.GOES_ON if self._paused:
                self._paused = False
                self._voice_ended = max(self._scored, self._judged)
                self._tell(Moment.RESUMED)

    def finish(self) -> None:
        """There is nothing more to hear."""
        self.judge(Verdict.HAS_FINISHED)

    async def tick(self) -> None:
        """Judge gaps, for ever, but for those in which it was this process that stood still.

        Recognition gets nothing in their place: what was only late is one word with what came before it.
        """
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)
            late = loop.time() - due
            if late > GAP_SECONDS:  # what came meanwhile is still to be read
                self._arrived_at = min(self._arrived_at + late, self._now())
            missing = self._now() - self._arrived_at
            if self._speaking and missing > self._piece_seconds + GAP_SECONDS:
                self._silence(self._heard + missing)
                if self._speaking:
                    self._over(self._end_of_turn.likelihood(self._judged - self._voice_ended))

    def _take(self, pcm: bytes) -> None:
        if self._speaking:
            self._stream.push(pcm)
        else:
            self._keep(pcm)
        self._note_arrival(pcm)
        for score in self._detector.score(pcm):
            self._scored += WINDOW_SECONDS
            self._score(score)
            if self._speaking:
                self._while_speaking(score)
            else:
                self._while_silent(score)
        self._silence(self._heard)

    def _note_arrival(self, pcm: bytes) -> None:
        samples = np.frombuffer(pcm, "<i2")
        begin, self._heard = self._heard, self._heard + len(pcm) / _BYTES_PER_SECOND
        peak = max(int(samples.max()), -int(samples.min())) if len(samples) else 0
        self._arrivals.append(_Arrival(begin, self._heard, self._now(), peak))
        while self._arrivals[0].end < self._scored - WINDOW_SECONDS:
            self._arrivals.popleft()

    def _voiced_at(self) -> float:
        """When the last loud piece of the window that was scored came: the window itself ends up to 32 ms later."""
        of_window = [
            arrival
            for arrival in self._arrivals
            if arrival.end > self._scored - WINDOW_SECONDS + _ROUNDING and arrival.begin < self._scored - _ROUNDING
        ]
        loudest = max((arrival.peak for arrival in of_window), default=0)
        loud = [arrival.at for arrival in of_window if arrival.peak * QUIETER >= loudest]
        return loud[-1] if loud else self._now()

    def _keep(self, pcm: bytes) -> None:
        self._before.append(pcm)
        self._kept += len(pcm)
        while self._kept - len(self._before[0]) >= PREROLL_SECONDS * _BYTES_PER_SECOND:
            self._kept -= len(self._before.popleft())

    def _while_silent(self, score: float) -> None:
        voiced = score >= VOICED
        self._voiced = self._voiced + WINDOW_SECONDS if voiced else max(0.0, self._voiced - WINDOW_SECONDS)
        if voiced and self._lasts(self._begin):
            self._speaking, self._paused = True, False
            self.voiced_seconds = self._voiced - WINDOW_SECONDS
            self._voice()
            self.began_at = self.last_voice_at - self._voiced
            for pcm in self._before:
                self._stream.push(pcm)
            self._before.clear()
            self._kept = 0
            self._tell(Moment.BEGAN)

    def _lasts(self, seconds: float) -> bool:
        """Whether there was voice for so long.

        A detector believes in a voice a window or two after it began: one window less is enough where the sound is so
        long by its loudness.
        """
        if self._voiced >= seconds:
            return True
        if self._voiced + WINDOW_SECONDS < seconds:
            return False
        kept = np.abs(np.frombuffer(b"".join(self._before), "<i2").astype(np.int32))
        end = len(kept) - round((self._heard - self._scored) * HEARING_RATE)
        sound = kept[max(0, end - int((seconds + 2 * WINDOW_SECONDS) * HEARING_RATE)) : end]
        loud = np.flatnonzero(sound * QUIETER > sound.max(initial=0))
        return len(loud) > 0 and bool((loud[-1] - loud[0] + 1) / HEARING_RATE >= seconds)

    def _while_speaking(self, score: float) -> None:
        if score < STILL_VOICED:
            self._silence(self._scored)
            if self._speaking:
                self._over(self._end_of_turn.likelihood(self._scored - self._voice_ended))
            return
        self._voice()
        self._over(0.0)
        if self._paused:
            self._paused = False
            self._tell(Moment.RESUMED)

    def _voice(self) -> None:
        self.last_voice_at = self._voiced_at()
        self.voiced_seconds += WINDOW_SECONDS
        self._end_of_turn.voiced()
        self._voice_ended = self._scored

    def _silence(self, until: float) -> None:
        """Judge the silence up to a moment of the sound.

        What belongs to no whole window yet counts as silent too: a pause is over when voice comes after all, and to
        wait for the window would cost up to 32 ms at the end of each turn.
        """
        if not self._speaking:
            return
        self._judged = until
        verdict = self._end_of_turn.silent(until - self._voice_ended + _ROUNDING)
        if verdict is Verdict.HAS_FINISHED:
            self._end()
        elif verdict is Verdict.PAUSES and not self._paused:
            self._paused = True
            self._tell(Moment.PAUSED)

    def _end(self) -> None:
        if not self._paused:
            self._tell(Moment.PAUSED)
        self._speaking = self._paused = False
        self._voiced = 0.0
        self._over(1.0)
        self._tell(Moment.FINISHED)
