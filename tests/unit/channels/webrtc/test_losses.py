"""How soon a person who interrupts is noticed on a network that loses packets: in the time of the packets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection

import pytest

from greenline.channels.live.ears import Ears, Moment
from greenline.channels.webrtc.opus import FRAME_BYTES, FRAME_SECONDS, OpusEncoder
from greenline.channels.webrtc.receive import OpusIn
from greenline.settings import Settings
from greenline.speech.detector import GatedDetector
from greenline.speech.end_of_turn import BySilence, Patience
from support.embedded_voice import PAUSE, spoken
from support.rtp import EVENT, Rtp
from support.tape import Tape
from support.virtual_time import run_in_virtual_time

LIMIT_SECONDS = 0.2
"""The agent falls silent within 200 ms of the person's voice."""
LEAD = 8
"""Packets of silence before the voice, and up to seven more: all phases of packets of 20 and windows of 32 ms."""


@pytest.fixture(scope="module")
def voice() -> list[bytes]:
    """Packets of a question whose first one holds voice."""
    said = asyncio.run(spoken("What are your opening hours?"))[len(PAUSE) :]
    samples = memoryview(said).cast("h")
    begins = next(number for number, sample in enumerate(samples) if abs(sample) > 600)
    return encoded(said[2 * begins :])[:25]


def encoded(pcm: bytes) -> list[bytes]:
    encoder = OpusEncoder()
    return [encoder.encode(pcm[at : at + FRAME_BYTES]) for at in range(0, len(pcm), FRAME_BYTES)]


def noticed(voice: list[bytes], lead: int, lost: Collection[int]) -> float:
    """Seconds from the sending of the first packet of the voice; ``lost`` counts from that one."""

    async def call() -> float:
        loop = asyncio.get_running_loop()
        began: asyncio.Future[float] = loop.create_future()

        def tell(moment: Moment) -> None:
            if moment is Moment.BEGAN:
                began.set_result(loop.time())

        begin = Settings().barge_in_seconds
        ears = Ears(GatedDetector(), Tape(), BySilence(Patience()), begin=begin, now=loop.time, tell=tell)
        buffer = OpusIn(event_payload_type=EVENT, on_pcm=ears.hear, on_digit=print, on_fault=began.set_exception)
        sent = loop.time()
        for number, payload in enumerate(encoded(bytes(lead * FRAME_BYTES)) + voice):
            await asyncio.sleep(sent + number * FRAME_SECONDS - loop.time())
            if number - lead not in lost:
                buffer.add(Rtp(number, number * 960, payload))
            if began.done():
                break
        at = await asyncio.wait_for(began, 1)
        buffer.close()
        return at - sent - lead * FRAME_SECONDS

    return run_in_virtual_time(call())


@pytest.mark.parametrize("place", range(-2, 10))
def test_one_lost_packet_delays_no_interruption(voice: list[bytes], place: int) -> None:
    latest = max(noticed(voice, lead, {place}) for lead in range(LEAD, LEAD + 8))
    assert latest < LIMIT_SECONDS


def test_packets_that_two_percent_lose_delay_no_interruption(voice: list[bytes]) -> None:
    """Of the draws of which a packet near the beginning of the voice is one."""
    draws = [
        {place for place in range(-4, 12) if random.Random(seed * 100 + place).random() < 0.02} for seed in range(150)
    ]
    found = [noticed(voice, LEAD + seed % 8, lost) for seed, lost in enumerate(draws) if lost]
    assert len(found) > 30
    assert max(found) < LIMIT_SECONDS
