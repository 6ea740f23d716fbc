from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from greenline.channels.live.listening import Listening
from greenline.clock import SystemClock
from greenline.speech.end_of_turn import BySilence, Patience
from greenline.speech.models import HEARING_RATE, RecognitionOptions
from support.spoken import SpokenSpeech
from support.virtual_time import in_virtual_time
from support.voice import tone


@dataclass
class Told:
    """A `greenline.channels.live.listening.Hearer` that keeps what it is told."""

    deaf: list[str] = field(default_factory=list)

    def voice_began(self) -> None: ...

    def seems_to_say(self, text: str) -> None: ...

    def may_have_said(self, text: str) -> None: ...

    def goes_on(self) -> None: ...

    def has_said(self, text: str, seconds: float) -> None: ...

    def is_deaf(self, error: BaseException, text: str = "") -> None:
        self.deaf.append(str(error))

    def window(self, score: float) -> None: ...

    def may_be_over(self, probability: float) -> None: ...


@in_virtual_time
async def test_who_asks_whether_anybody_is_there_is_told_that_nobody_hears() -> None:
    speech, told = SpokenSpeech(thinking=asyncio.Event()), Told()
    now, end = asyncio.get_running_loop().time, BySilence(Patience())
    person = Listening(speech, RecognitionOptions(), end, told, SystemClock(), now, begin=0.1, seconds=12)
    person.begin()
    for _ in range(6):
        await asyncio.sleep(5)
        person.hear(tone(0.5))
        person.hear(bytes(int(0.7 * HEARING_RATE) * 2))
    assert told.deaf[0] == "script: no text in 12 s"
    await person.aclose()
