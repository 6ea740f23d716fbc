"""Where what a person said lies in a recording, on networks that stall again and again.

The truth is the sender's: at which moment it sent which sound. What a stall holds back comes in a burst after it.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenline.channels.live.recorder import BLOCK_SECONDS, RATE, Recorder
from greenline.channels.webrtc.opus import FRAME_BYTES, FRAME_SECONDS, OpusEncoder
from greenline.channels.webrtc.receive import STARVED_SECONDS, OpusIn
from support.rtp import EVENT, Rtp
from support.virtual_time import run_in_virtual_time
from support.voice import tone

NEAR = 0.06
"""Delay, jitter and codec included."""
DELAY = 0.01
BURST_SECONDS = 0.002
"""Between the packets of a burst."""
PIECE_SECONDS = 0.25
"""Clients on sockets send pieces so long (reference)."""
TAIL_SECONDS = 15.0
"""Quiet at the end, after all stalls: what comes later tells what was late."""


@dataclass(frozen=True)
class Talk:
    """What a person says: seconds of sound and of the quiet after it, and whether packets of the quiet are sent."""

    phrases: tuple[tuple[float, float, bool], ...]
    stalls: tuple[tuple[float, float], ...]
    """When nothing of it gets through, and for how long."""
    jitter: tuple[float, ...]

    @property
    def seconds(self) -> float:
        return sum(sound + quiet for sound, quiet, _ in self.phrases)

    @property
    def spoken(self) -> list[tuple[float, float]]:
        starts = itertools.accumulate((sound + quiet for sound, quiet, _ in self.phrases), initial=0.0)
        return [(start, start + sound) for start, (sound, _, _) in zip(starts, self.phrases, strict=False)]

    def arrivals(self, sent: list[float], apart: float) -> list[float]:
        """When what was sent then comes: in its order, what was held back in a burst."""
        came, last = [], 0.0
        for at, late in zip(sent, itertools.cycle(self.jitter), strict=False):
            for begin, length in self.stalls:
                if begin <= at < begin + length:
                    at = begin + length
            last = max(at + DELAY + late, last + apart)
            came.append(last)
        return came


def steps(least: float, most: float) -> st.SearchStrategy[float]:
    """Whole packets."""
    return st.integers(round(least / FRAME_SECONDS), round(most / FRAME_SECONDS)).map(
        lambda count: count * FRAME_SECONDS
    )


def talks(longest: float) -> st.SearchStrategy[Talk]:
    stalls = st.lists(st.tuples(steps(0.5, 8), steps(0.06, longest)), min_size=1, max_size=5)
    return st.builds(
        Talk,
        st.lists(st.tuples(steps(0.2, 1.5), steps(0.2, 0.9), st.booleans()), min_size=3, max_size=8).map(tuple),
        stalls.map(lambda some: tuple(sorted(some))),
        st.lists(st.floats(0, 0.02), min_size=1, max_size=7).map(tuple),
    )


@cache
def packets_of(seconds: float, *, sound: bool) -> list[bytes]:
    encoder, size = OpusEncoder(), round(seconds / FRAME_SECONDS) * FRAME_BYTES
    pcm = tone(seconds + 1)[:size] if sound else bytes(size)
    return [encoder.encode(pcm[at : at + FRAME_BYTES]) for at in range(0, size, FRAME_BYTES)]


Heard = list[tuple[float, bytes, float | None]]
"""When it came, the sound, and its place by the sender's clock."""


def heard_on_a_call(talk: Talk) -> Heard:
    """What a receiver makes of the packets."""
    stream, time = [], 0.0
    for sound, quiet, sends_quiet in talk.phrases:
        payloads = packets_of(1.5, sound=True)[: round(sound / FRAME_SECONDS)]
        payloads = payloads + packets_of(0.9, sound=False)[: round(quiet / FRAME_SECONDS) if sends_quiet else 1]
        for n, payload in enumerate(payloads):
            stream.append((time + n * FRAME_SECONDS, payload))
        time += sound + quiet
    came = talk.arrivals([at + FRAME_SECONDS for at, _ in stream], BURST_SECONDS)

    async def receive() -> Heard:
        loop, heard, faults = asyncio.get_running_loop(), Heard(), list[Exception]()

        def take(pcm: bytes) -> None:
            heard.append((loop.time(), pcm, buffer.heard_at))

        buffer = OpusIn(event_payload_type=EVENT, on_pcm=take, on_digit=print, on_fault=faults.append)
        for number, ((at, payload), due) in enumerate(zip(stream, came, strict=True)):
            await asyncio.sleep(due - loop.time())
            buffer.add(Rtp(number, round(at * 48_000), payload))
        await asyncio.sleep(talk.seconds - loop.time())
        buffer.close()
        assert not faults
        return heard

    return run_in_virtual_time(receive())


def heard_around_holds(holds: list[float]) -> tuple[Heard, list[tuple[float, float]]]:
    """A phone on hold sends nothing, and counts on where it stopped. With when each phrase was said."""
    payloads, spoken = packets_of(1.5, sound=True), list[tuple[float, float]]()

    async def receive() -> Heard:
        loop, heard, number = asyncio.get_running_loop(), Heard(), 0
        begun = loop.time()
        buffer = OpusIn(
            event_payload_type=EVENT,
            on_pcm=lambda pcm: heard.append((loop.time() - begun, pcm, buffer.heard_at)),
            on_digit=print,
            on_fault=print,
        )
        for hold in holds:
            spoken.append((loop.time() - begun, loop.time() - begun + 1.5))
            for payload in payloads:
                await asyncio.sleep(FRAME_SECONDS)
                buffer.add(Rtp(number, number * 960, payload))
                number += 1
            await asyncio.sleep(hold)
        buffer.close()
        return heard

    return run_in_virtual_time(receive()), spoken


def heard_on_a_socket(talk: Talk) -> Heard:
    """A client sends all of it, the quiet too, and has no clock of its own."""
    pcm = b"".join(tone(sound) + bytes(round(quiet * RATE) * 2) for sound, quiet, _ in talk.phrases)
    pcm += bytes(round(TAIL_SECONDS * RATE) * 2)
    size = round(PIECE_SECONDS * RATE) * 2
    pieces = [pcm[at : at + size] for at in range(0, len(pcm), size)]
    ends = list(itertools.accumulate(len(piece) / 2 / RATE for piece in pieces))
    return [(at, piece, None) for at, piece in zip(talk.arrivals(ends, BURST_SECONDS), pieces, strict=True)]


async def recorded(heard: Heard) -> np.ndarray:
    """The person's side, written every second as it grows."""
    with TemporaryDirectory() as folder:
        now, flushed = 0.0, 0.0
        recorder = Recorder(Path(folder) / "ws_1" / "conv_1.pcm", lambda: now)
        recorder.hear(b"")
        for came, pcm, at in heard:
            while flushed + BLOCK_SECONDS < came:
                now = flushed = flushed + BLOCK_SECONDS
                await recorder.flush()
            now = came
            recorder.hear(pcm, at)
        assert await recorder.close()
        return np.frombuffer(recorder.path.read_bytes(), "<i2")[0::2]


def spoken_in(side: np.ndarray) -> list[tuple[float, float]]:
    """From where to where there is sound, pauses under 60 ms left out."""
    step = RATE // 100
    loud = np.abs(side[: len(side) // step * step].reshape(-1, step)).max(axis=1) > 1500
    found: list[tuple[float, float]] = []
    for n in np.flatnonzero(loud).tolist():
        if found and n / 100 - found[-1][1] < NEAR:
            found[-1] = (found[-1][0], (n + 1) / 100)
        else:
            found.append((n / 100, (n + 1) / 100))
    return found


def check(talk: Talk, heard: Heard, seconds: float) -> None:
    side = asyncio.run(recorded(heard))
    found = spoken_in(side)
    assert len(found) == len(talk.spoken), (found, talk.spoken)
    for (begins, ends), (began, ended) in zip(found, talk.spoken, strict=True):
        assert begins == pytest.approx(began, abs=NEAR)
        assert ends == pytest.approx(ended, abs=NEAR)
    assert len(side) / RATE == pytest.approx(max(seconds, heard[-1][0]), abs=NEAR + STARVED_SECONDS)


@settings(max_examples=40)
@given(talks(longest=1.0))
def test_what_was_said_on_a_call_lies_where_it_was_said(talk: Talk) -> None:
    check(talk, heard_on_a_call(talk), talk.seconds)


@settings(max_examples=40)
@given(talks(longest=6.0))
def test_stalls_of_several_seconds_move_nothing_of_a_call(talk: Talk) -> None:
    check(talk, heard_on_a_call(talk), talk.seconds)


@settings(max_examples=20)
@given(st.lists(steps(2.0, 60.0), min_size=1, max_size=4))
def test_what_was_said_after_a_hold_lies_after_it(holds: list[float]) -> None:
    heard, spoken = heard_around_holds(holds)
    found = spoken_in(asyncio.run(recorded(heard)))
    assert found == [pytest.approx(phrase, abs=NEAR) for phrase in spoken]


@settings(max_examples=40)
@given(talks(longest=0.8))
def test_what_was_said_over_a_socket_lies_where_it_was_said(talk: Talk) -> None:
    check(talk, heard_on_a_socket(talk), talk.seconds + TAIL_SECONDS)
