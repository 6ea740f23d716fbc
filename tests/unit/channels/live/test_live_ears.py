"""Ears in the time of the machine: pieces of any size are one sound, and what does not come is silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from greenline.channels.live.ears import Ears, Moment, Patience
from greenline.speech.models import HEARING_RATE, Hint
from support.wait import eventually


class Loud:
    """A detector for which every sound but digital silence is voice."""

    def score(self, pcm: bytes) -> list[float]:
        windows = max(1, len(pcm) // 1024)
        return [1.0 if any(pcm) else 0.0] * windows

    def reset(self) -> None: ...


class Tape:
    """A recogniser that keeps what it is given."""

    def __init__(self) -> None:
        self.pushed = bytearray()

    def push(self, pcm: bytes) -> None:
        self.pushed += pcm

    async def finish(self) -> str:
        return ""

    def drop(self) -> None: ...

    async def hints(self) -> AsyncIterator[Hint]:
        for hint in ():
            yield hint

    async def aclose(self) -> None: ...


@pytest.mark.parametrize("part", [8_000, 2_048])
async def test_large_pieces_are_not_torn_apart(part: int) -> None:
    """Nor are those that come in parts, so that others have their turn between them."""
    now, moments, tape = 100.0, [], Tape()
    ears = Ears(Loud(), tape, Patience(), now=lambda: now, tell=moments.append)
    ticking = asyncio.create_task(ears.tick())
    piece = b"\x10\x10" * (HEARING_RATE // 4)
    for _ in range(4):
        for at in range(0, len(piece), part):
            ears.hear(piece[at : at + part], 0.25)
        for _ in range(6):  # the ticker runs while the next piece is on its way
            now += 0.04
            await asyncio.sleep(0.025)
        now += 0.01
    assert moments == [Moment.BEGAN]
    assert bytes(tape.pushed) == piece * 4
    now += 1.0
    await eventually(lambda: Moment.FINISHED in moments)
    assert moments == [Moment.BEGAN, Moment.PAUSED, Moment.FINISHED]
    ticking.cancel()
    await asyncio.gather(ticking, return_exceptions=True)


def test_a_pause_that_the_recogniser_hears_first_is_believed_unless_voice_goes_on() -> None:
    moments: list[Moment] = []
    ears = Ears(Loud(), Tape(), Patience(pause=0.4, finish=0.5), now=lambda: 0.0, tell=moments.append)
    voice, silence = b"\x10\x10" * (HEARING_RATE // 2), bytes(HEARING_RATE * 2 // 5)
    ears.hear(voice)
    ears.pause()
    assert moments == [Moment.BEGAN], "the person is still heard"
    ears.hear(silence)
    ears.pause()
    ears.pause()
    assert moments == [Moment.BEGAN, Moment.PAUSED]
    ears.resume()
    ears.hear(silence)
    assert moments == [Moment.BEGAN, Moment.PAUSED, Moment.RESUMED], "silence counts anew"
    ears.pause()
    ears.finish()
    ears.pause()
    assert moments[3:] == [Moment.PAUSED, Moment.FINISHED]
