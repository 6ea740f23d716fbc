"""Voices that speak, and too slowly to be listened to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from greenline.clock import ManualClock
from greenline.settings import Settings
from greenline.speech.cascade import Rests, SynthesiserCascade
from greenline.speech.models import Chunk, Voice
from support.virtual_time import in_virtual_time, virtual_loop

LIVE = Voice(ahead=0.0)
LIMIT_SECONDS = 6.0
PIECE_SECONDS = 0.1
HOUR_SECONDS = 3600.0


@dataclass
class Paced:
    """A voice that takes ``pace`` times as long as its sound, after ``start`` seconds."""

    name: str
    pace: float
    start: float = 0.0
    rate: int = 8_000
    pieces: int = 100

    async def say(self, text: str, voice: Voice) -> AsyncIterator[Chunk]:
        await asyncio.sleep(self.start)
        for _ in range(self.pieces):
            await asyncio.sleep(PIECE_SECONDS * self.pace)
            yield Chunk(bytes(round(PIECE_SECONDS * self.rate) * 2), None, self.name)

    async def aclose(self) -> None:
        """There is nothing to close."""


async def spoken(voice: Voice, first: Paced) -> dict[str, float]:
    """How many seconds each has spoken."""
    clock = ManualClock()
    cascade = SynthesiserCascade([first, Paced("next", 0.0)], Rests(clock), seconds=LIMIT_SECONDS)
    seconds: dict[str, float] = {}
    async for chunk in cascade.say("Where is my order?", voice):
        seconds[chunk.provider] = round(seconds.get(chunk.provider, 0.0) + len(chunk.pcm) / 2 / cascade.rate, 1)
    return seconds


@in_virtual_time
async def test_the_next_voice_speaks_where_one_is_far_slower_than_it_plays() -> None:
    assert await spoken(LIVE, Paced("slow", 10.0)) == {"slow": 0.7, "next": 10.0}
    assert virtual_loop().time() < 2 * LIMIT_SECONDS


@in_virtual_time
async def test_who_begins_late_or_falls_behind_a_little_goes_on() -> None:
    assert await spoken(LIVE, Paced("late", 0.5, start=LIMIT_SECONDS - 1)) == {"late": 10.0}
    assert await spoken(LIVE, Paced("little", 1.5)) == {"little": 10.0}


@in_virtual_time
async def test_who_is_slow_while_there_is_enough_to_be_heard_goes_on() -> None:
    assert await spoken(Voice(ahead=18.0), Paced("slow", 2.2)) == {"slow": 10.0}
    late = Paced("late", 1.5, start=LIMIT_SECONDS - 1)
    assert await spoken(Voice(ahead=1.0), late) == {"late": 10.0}
    assert "next" in await spoken(Voice(ahead=3.0), Paced("slow", 10.0, start=LIMIT_SECONDS - 1))


@in_virtual_time
async def test_who_is_asked_to_go_on_late_was_not_slow() -> None:
    cascade = SynthesiserCascade(
        [Paced("first", 1.0), Paced("next", 0.0)], Rests(ManualClock()), seconds=LIMIT_SECONDS
    )
    async for chunk in cascade.say("Where is my order?", LIVE):
        assert chunk.provider == "first"
        await asyncio.sleep(LIMIT_SECONDS)


@in_virtual_time
async def test_a_voice_note_takes_the_time_that_it_takes() -> None:
    assert await spoken(Voice(), Paced("slow", 10.0)) == {"slow": 10.0}


@in_virtual_time
async def test_a_person_waits_for_the_third_voice_when_two_hang() -> None:
    settings = Settings(_env_file=None)
    hanging = [Paced(name, 0.0, start=HOUR_SECONDS) for name in ("first", "second")]
    cascade = SynthesiserCascade(
        [*hanging, Paced("third", 0.0)], Rests(ManualClock()), seconds=settings.speech_timeout_seconds
    )
    async with contextlib.aclosing(cascade.say("Where is my order?", LIVE)) as chunks:
        async with asyncio.timeout(settings.speech_patience_seconds):
            chunk = await anext(chunks)
    assert chunk.provider == "third"
