"""Where the two sides of a conversation lie in its recording."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.channels.live.recorder import BELIEVED_SECONDS, JITTER_SECONDS, RATE, Recorder
from greenline.channels.live.track import Track
from greenline.channels.webrtc.send import OpusOut
from greenline.speech.models import Alignment
from support.virtual_time import in_virtual_time, virtual_loop
from support.wait import eventually

FRAME = RATE // 50


def sound(value: int, seconds: float) -> bytes:
    return np.full(round(seconds * RATE), value, "<i2").tobytes()


class Clock:
    """Seconds, as the test says."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class Out:
    """A voice that plays in the test's time."""

    rate = RATE

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = 0.0

    @property
    def queued(self) -> float:
        return max(0.0, self._until - self._clock())

    def write(self, pcm: bytes, event_id: int, alignment: Alignment | None = None) -> None:
        self._until = max(self._until, self._clock()) + len(pcm) / 2 / self.rate

    def once_sounding(self, tell: Callable[[], None]) -> None:
        tell()

    def when_held_up(self, tell: Callable[[float], None]) -> None:
        """It never is."""

    def clear(self) -> float:
        left, self._until = self.queued, 0.0
        return left


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(clock: Clock, tmp_path: Path) -> Recorder:
    return Recorder(tmp_path / "ws_1" / "conv_1.pcm", clock)


def talk(recorder: Recorder, clock: Clock, value: int, seconds: float) -> None:
    """The person makes a sound, frame by frame as time goes by."""
    for _ in range(round(seconds * 50)):
        clock.seconds += 0.02
        recorder.hear(sound(value, 0.02))


async def sides(recorder: Recorder) -> tuple[np.ndarray, np.ndarray]:
    assert await recorder.close()
    frames = np.frombuffer(recorder.path.read_bytes(), "<i2").reshape(-1, 2)
    return frames[:, 0], frames[:, 1]


def extent(side: np.ndarray, value: int) -> tuple[float, float]:
    """First and last second of a sound."""
    places = np.flatnonzero(side == value)
    return round(float(places[0]) / RATE, 2), round(float(places[-1] + 1) / RATE, 2)


async def test_each_side_lies_where_it_was_heard(recorder: Recorder, clock: Clock) -> None:
    out = recorder.beside(Out(clock))
    talk(recorder, clock, 5, 1.0)
    out.write(sound(7, 0.5), 1)
    out.write(sound(8, 0.5), 1)
    talk(recorder, clock, 1, 2.0)
    person, agent = await sides(recorder)
    assert len(person) == 3 * RATE  # the line of time begins when the first frame is over
    assert extent(person, 5) == (0.0, 1.0)
    assert extent(agent, 7) == (0.98, 1.48)
    assert extent(agent, 8) == (1.48, 1.98)
    assert oct(os.stat(recorder.path).st_mode)[-3:] == "600"


async def test_silence_that_stood_for_a_burst_gives_way_to_it(recorder: Recorder, clock: Clock) -> None:
    """A receiver fills the time in which nothing comes with silence; what was late comes after it all the same."""
    at = 0.0

    def hear(value: int) -> None:
        nonlocal at
        recorder.hear(sound(value, 0.02), at)
        at += 0.02

    for _ in range(5):
        for value, seconds in ((5, 1.0), (0, 0.8)):
            for _ in range(round(seconds * 50)):
                clock.seconds += 0.02
                hear(value)
        at -= 0.8
        for _ in range(40):
            hear(6)
    talk(recorder, clock, 7, 1.0)
    person, _ = await sides(recorder)
    assert extent(person, 7)[1] == pytest.approx(10.0, abs=0.03)
    assert len(person) / RATE == pytest.approx(10.0, abs=0.03)
    assert np.count_nonzero(person == 6) == np.count_nonzero(person == 5) * 0.8


@pytest.mark.parametrize("seconds", [1.5, 60.0])
async def test_what_is_said_after_a_hold_lies_after_it(recorder: Recorder, clock: Clock, seconds: float) -> None:
    """Phones whose microphone was off go on counting where they stopped."""
    at = 0.0

    async def talk_by_their_clock(value: int, seconds: float) -> None:
        nonlocal at
        for n in range(round(seconds * 50)):
            clock.seconds += 0.02
            recorder.hear(sound(value, 0.02), at)
            at += 0.02
            if n % 50 == 0:
                await recorder.flush()

    await talk_by_their_clock(5, 3.0)
    for value in (6, 7):
        await talk_by_their_clock(0, seconds)
        at -= seconds
        await talk_by_their_clock(value, 2.0)
        await talk_by_their_clock(8, 0.5)
    person, _ = await sides(recorder)
    assert extent(person, 5) == (0.0, 3.0)
    assert extent(person, 6) == pytest.approx((3.0 + seconds, 5.0 + seconds), abs=0.03)
    assert extent(person, 7) == pytest.approx((5.5 + 2 * seconds, 7.5 + 2 * seconds), abs=0.03)
    assert extent(person, 8)[1] == pytest.approx(8.0 + 2 * seconds, abs=0.03)
    assert np.count_nonzero(person == 6) == np.count_nonzero(person == 7) == 2 * RATE


async def test_who_hangs_up_right_after_a_hold_is_heard_after_it(recorder: Recorder, clock: Clock) -> None:
    for n in range(50):
        clock.seconds += 0.02
        recorder.hear(sound(5 if n < 10 else 0, 0.02), n * 0.02)
    for n in range(100):  # silence goes on while nothing comes
        clock.seconds += 0.02
        recorder.hear(sound(0, 0.02), 1.0 + n * 0.02)
    for n in range(25):
        clock.seconds += 0.02
        recorder.hear(sound(6, 0.02), 1.0 + n * 0.02)
    person, _ = await sides(recorder)
    assert extent(person, 5) == (0.0, 0.2)
    assert extent(person, 6) == pytest.approx((3.0, 3.5), abs=0.03)


async def test_a_clock_that_falls_behind_is_not_believed_for_long(recorder: Recorder, clock: Clock) -> None:
    """Little by little, or by less than what tells of a hold."""
    at = 0.0

    def talk_by_their_clock(value: int, seconds: float) -> None:
        nonlocal at
        for _ in range(round(seconds * 50)):
            clock.seconds += 0.02
            recorder.hear(sound(value, 0.02), at)
            at += 0.02

    talk_by_their_clock(5, 3.0)
    talk_by_their_clock(0, 0.8)
    at -= 0.8
    talk_by_their_clock(6, 2 * BELIEVED_SECONDS)
    talk_by_their_clock(7, 1.0)
    await recorder.flush()
    person, _ = await sides(recorder)
    assert extent(person, 7) == pytest.approx((3.8 + 2 * BELIEVED_SECONDS, 4.8 + 2 * BELIEVED_SECONDS), abs=0.03)
    assert np.count_nonzero(person == 6) == 2 * BELIEVED_SECONDS * RATE


async def test_what_an_interruption_cut_is_not_in_it(recorder: Recorder, clock: Clock) -> None:
    out = recorder.beside(Out(clock))
    talk(recorder, clock, 0, 1.0)
    out.write(sound(7, 10.0), 1)
    talk(recorder, clock, 5, 2.0)
    assert out.clear() == pytest.approx(8.0)
    out.write(sound(8, 1.0), 2)
    talk(recorder, clock, 0, 2.0)
    _, agent = await sides(recorder)
    assert extent(agent, 7) == (0.98, 2.98)
    assert extent(agent, 8) == (2.98, 3.98)


async def test_speech_that_was_not_played_at_the_end_is_not_in_it(recorder: Recorder, clock: Clock) -> None:
    out = recorder.beside(Out(clock))
    talk(recorder, clock, 0, 1.0)
    out.write(sound(7, 10.0), 1)
    talk(recorder, clock, 0, 1.0)
    person, agent = await sides(recorder)
    assert len(person) == len(agent) == pytest.approx(2 * RATE, abs=FRAME + 1)  # time begins after the first frame
    assert extent(agent, 7) == (0.98, 1.98)


async def test_a_pause_of_the_network_is_filled_and_a_burst_after_it_takes_its_place(
    recorder: Recorder, clock: Clock
) -> None:
    talk(recorder, clock, 5, 1.0)
    clock.seconds += 1.0
    for _ in range(50):
        recorder.hear(sound(6, 0.02))
    talk(recorder, clock, 7, 1.0)
    person, _ = await sides(recorder)
    assert extent(person, 5) == (0.0, 1.0)
    assert extent(person, 6)[0] == pytest.approx(1.0, abs=JITTER_SECONDS)
    assert extent(person, 7)[1] == pytest.approx(3.0, abs=JITTER_SECONDS)


async def test_who_hangs_up_during_a_write_loses_no_sound(recorder: Recorder, clock: Clock) -> None:
    """The threads that write are busy when the session stops its recorder."""
    free = threading.Event()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    blocked = loop.run_in_executor(None, free.wait)
    writing = asyncio.create_task(recorder.run())
    await asyncio.sleep(0)
    talk(recorder, clock, 5, 3.0)
    await eventually(lambda: recorder._writing is not None)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    free.set()
    await blocked
    person, _ = await sides(recorder)
    assert extent(person, 5) == (0.0, 3.0)


async def test_a_conversation_without_any_sound_leaves_no_file(recorder: Recorder) -> None:
    assert not await recorder.close()


async def test_a_disk_that_fails_ends_the_recording_and_nothing_else(
    recorder: Recorder, clock: Clock, tmp_path: Path
) -> None:
    (tmp_path / "ws_1").write_text("no folder")
    talk(recorder, clock, 5, 1.0)
    assert not await recorder.close()
    recorder.hear(sound(5, 1.0))


@given(
    st.lists(
        st.tuples(st.integers(0, RATE), st.integers(1, FRAME * 5), st.integers(0, RATE), st.integers(-1, RATE)),
        min_size=1,
        max_size=30,
    )
)
def test_a_track_holds_all_that_was_heard_once_and_in_its_order(steps: list[tuple[int, int, int, int]]) -> None:
    """However sound comes, in gaps and bursts, and is moved up, written again and settled meanwhile."""
    track, place, written, given_ = Track(), 0, bytearray(), b""

    def write(until: int) -> None:
        begin, pcm = track.take(until)
        written.extend(bytes(max(0, begin * 2 - len(written))))
        written[begin * 2 : begin * 2 + len(pcm)] = pcm

    for number, (wait, size, early, kept) in enumerate(steps, start=1):
        place += wait
        pcm = np.full(size, number, "<i2").tobytes()
        given_ += pcm
        track.put(pcm, place)
        before = track.end
        track.move_up(early)
        assert before - early <= track.end <= before
        if kept >= 0:
            write(place)
            track.settle(place - kept)
    write(max(track.end, len(written) // 2))
    heard = np.frombuffer(bytes(written), "<i2")
    assert heard[heard != 0].tobytes() == given_


@in_virtual_time
async def test_what_is_said_around_keys_lies_where_it_is_sent(tmp_path: Path) -> None:
    loop, out = asyncio.get_running_loop(), OpusOut()
    out.event_payload_type = 126
    recorder = Recorder(tmp_path / "ws_1" / "conv_1.pcm", loop.time)
    recorder.hear(b"")
    speech = recorder.beside(out)
    out.open()
    speech.write(sound(5, 0.4), 1)
    out.press("12")
    speech.write(sound(6, 0.4), 1)
    while out.queued:
        await out.recv()
    _, agent = await sides(recorder)
    assert extent(agent, 5) == (0.0, 0.4)
    assert extent(agent, 6)[0] == pytest.approx(0.4 + 2 * 0.32, abs=0.03)
    assert extent(agent, 6)[1] == pytest.approx(0.8 + 2 * 0.32, abs=0.03)


@pytest.mark.parametrize("notices", ["who speaks", "the packets", "the writing"])
def test_what_a_stall_of_the_process_held_up_lies_where_it_is_sent(tmp_path: Path, notices: str) -> None:
    """Whatever comes first after it: more speech, the next packet, or the next write of the recording."""

    @in_virtual_time
    async def run() -> None:
        loop, out = virtual_loop(), OpusOut()
        recorder = Recorder(tmp_path / "ws_1" / "conv_1.pcm", loop.time)
        recorder.hear(b"")
        speech = recorder.beside(out)
        out.open()
        speech.write(sound(5, 1.0), 1)
        for _ in range(25):
            await out.recv()
        await recorder.flush()
        loop.stand_still(3.0)
        if notices == "the packets":
            await out.recv()
        if notices == "the writing":
            await recorder.flush()
        speech.write(sound(6, 0.5), 1)
        while out.queued:
            await out.recv()
        _, agent = await sides(recorder)
        assert np.count_nonzero(agent == 5) == pytest.approx(RATE, abs=2 * FRAME)
        assert not agent[round(0.55 * RATE) : round(3.4 * RATE)].any()
        assert extent(agent, 5)[1] == pytest.approx(4.0, abs=0.05)
        assert extent(agent, 6) == pytest.approx((4.0, 4.5), abs=0.05)

    run()


@in_virtual_time
async def test_what_is_taken_back_after_a_stall_was_never_said(tmp_path: Path) -> None:
    loop, out = virtual_loop(), OpusOut()
    recorder = Recorder(tmp_path / "ws_1" / "conv_1.pcm", loop.time)
    recorder.hear(b"")
    speech = recorder.beside(out)
    out.open()
    speech.write(sound(5, 1.0), 1)
    for _ in range(25):
        await out.recv()
    loop.stand_still(3.0)
    assert speech.clear() == pytest.approx(0.5)
    _, agent = await sides(recorder)
    assert extent(agent, 5) == pytest.approx((0.0, 0.5), abs=0.03)
