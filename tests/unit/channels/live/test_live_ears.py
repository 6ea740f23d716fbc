"""Ears in the time of the machine: pieces of any size are one sound, and what does not come is silence."""

from __future__ import annotations

import asyncio

import pytest

from greenline.channels.live.ears import Ears, Moment
from greenline.speech.end_of_turn import BySilence, Patience, Verdict
from greenline.speech.models import HEARING_RATE
from support.tape import Tape
from support.virtual_time import in_virtual_time, virtual_loop
from support.wait import eventually

VOICE = b"\x10\x10" * 512
"""A window."""


class Loud:
    """A detector for which every sound but digital silence is voice."""

    def score(self, pcm: bytes) -> list[float]:
        windows = max(1, len(pcm) // 1024)
        return [1.0 if any(pcm) else 0.0] * windows


@pytest.mark.parametrize("part", [8_000, 2_048])
async def test_large_pieces_are_not_torn_apart(part: int) -> None:
    """Nor are those that come in parts, so that others have their turn between them."""
    now, tape = 100.0, Tape()
    moments: list[Moment] = []
    ears = Ears(Loud(), tape, BySilence(Patience()), now=lambda: now, tell=moments.append)
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


@in_virtual_time
async def test_what_is_said_while_the_process_stands_still_is_torn_apart_by_no_pause() -> None:
    loop, tape = virtual_loop(), Tape()
    moments: list[Moment] = []
    ears = Ears(Loud(), tape, BySilence(Patience()), now=loop.time, tell=moments.append)
    ticking = asyncio.create_task(ears.tick())
    for _ in range(8):
        ears.hear(VOICE)
        await asyncio.sleep(0.032)
    loop.stand_still(0.96)
    await asyncio.sleep(0.01)  # the ticker is late, and first
    for _ in range(30):
        ears.hear(VOICE)
    assert moments == [Moment.BEGAN]
    assert bytes(tape.pushed) == VOICE * 38
    await eventually(lambda: Moment.FINISHED in moments)
    assert loop.time() < 2.0, "who says nothing more has finished all the same"
    ticking.cancel()
    await asyncio.gather(ticking, return_exceptions=True)


@in_virtual_time
async def test_a_voice_began_before_it_was_believed() -> None:
    loop, moments = virtual_loop(), list[Moment]()
    ears = Ears(Loud(), Tape(), BySilence(Patience()), now=loop.time, tell=moments.append)
    for sound in (bytes(1024), VOICE, bytes(1024)):
        begun = loop.time()
        for _ in range(31):
            await asyncio.sleep(0.032)
            ears.hear(sound)
        if sound is VOICE:
            assert ears.began_at == pytest.approx(begun, abs=0.001)
    assert moments == [Moment.BEGAN, Moment.PAUSED, Moment.FINISHED]


@in_virtual_time
async def test_a_word_that_was_held_up_on_its_way_is_heard_as_one() -> None:
    loop, tape = virtual_loop(), Tape()
    moments: list[Moment] = []
    ears = Ears(Loud(), tape, BySilence(Patience()), now=loop.time, tell=moments.append)
    ticking = asyncio.create_task(ears.tick())
    for _ in range(8):
        ears.hear(VOICE)
        await asyncio.sleep(0.032)
    await asyncio.sleep(0.3)
    assert moments == [Moment.BEGAN, Moment.PAUSED]
    ears.hear(VOICE * 8)
    assert moments == [Moment.BEGAN, Moment.PAUSED, Moment.RESUMED]
    await asyncio.sleep(1.0)
    assert moments[3:] == [Moment.PAUSED, Moment.FINISHED]
    assert bytes(tape.pushed) == VOICE * 16
    ticking.cancel()
    await asyncio.gather(ticking, return_exceptions=True)


@in_virtual_time
async def test_pieces_without_sound_neither_hold_a_turn_nor_are_kept() -> None:
    loop, moments = virtual_loop(), list[Moment]()
    ears = Ears(Loud(), Tape(), BySilence(Patience()), now=loop.time, tell=moments.append)
    ticking = asyncio.create_task(ears.tick())
    for _ in range(8):
        ears.hear(VOICE)
        await asyncio.sleep(0.032)
    kept = len(ears._arrivals)
    for _ in range(50):
        ears.hear(b"")
        await asyncio.sleep(0.02)
    assert moments == [Moment.BEGAN, Moment.PAUSED, Moment.FINISHED]
    for _ in range(1000):
        ears.hear(b"")
    assert len(ears._arrivals) <= kept
    assert not ears._before
    ticking.cancel()
    await asyncio.gather(ticking, return_exceptions=True)


def test_a_pause_that_the_recogniser_hears_first_is_believed_unless_voice_goes_on() -> None:
    moments: list[Moment] = []
    end = BySilence(Patience(pause=0.4, finish=0.5))
    ears = Ears(Loud(), Tape(), end, now=lambda: 0.0, tell=moments.append)
    voice, silence = b"\x10\x10" * (HEARING_RATE // 2), bytes(HEARING_RATE * 2 // 5)
    ears.hear(voice)
    ears.judge(Verdict.PAUSES)
    assert moments == [Moment.BEGAN], "the person is still heard"
    ears.hear(silence)
    ears.judge(Verdict.PAUSES)
    ears.judge(Verdict.PAUSES)
    assert moments == [Moment.BEGAN, Moment.PAUSED]
    ears.judge(Verdict.GOES_ON)
    ears.hear(silence)
    assert moments == [Moment.BEGAN, Moment.PAUSED, Moment.RESUMED], "silence counts anew"
    ears.judge(Verdict.PAUSES)
    ears.judge(Verdict.HAS_FINISHED)
    ears.judge(Verdict.PAUSES)
    assert moments[3:] == [Moment.PAUSED, Moment.FINISHED]


@pytest.mark.parametrize(("begin", "windows"), [(0.03, 1), (0.1, 4), (0.128, 4), (0.5, 16)])
def test_voice_begins_once_it_was_so_long(begin: float, windows: int) -> None:
    moments: list[Moment] = []
    ears = Ears(Loud(), Tape(), BySilence(Patience()), begin=begin, now=lambda: 0.0, tell=moments.append)
    for number in range(1, windows + 1):
        assert moments == []
        ears.hear(VOICE)
        assert (moments == [Moment.BEGAN]) is (number == windows)


class Slow(Loud):
    """A detector that takes a window before it believes in a voice."""

    def __init__(self) -> None:
        self._believes = False

    def score(self, pcm: bytes) -> list[float]:
        scores = super().score(pcm)
        believed, self._believes = self._believes, bool(scores[-1])
        return [1.0 if believed and score else 0.0 for score in scores]


@pytest.mark.parametrize(("before", "windows"), [(VOICE, 4), (bytes(64) + VOICE[:-64], 4), (b"\1\1" * 512, 5)])
def test_what_a_detector_is_late_for_counts_by_its_loudness(before: bytes, windows: int) -> None:
    """Sound that is as quiet as a room counts for nothing."""
    moments: list[Moment] = []
    ears = Ears(Slow(), Tape(), BySilence(Patience()), now=lambda: 0.0, tell=moments.append)
    ears.hear(before)
    heard = 1
    while not moments:
        ears.hear(VOICE)
        heard += 1
    assert heard == windows
