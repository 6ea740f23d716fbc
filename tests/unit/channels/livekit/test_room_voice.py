"""The agent's voice before it is on a track: how far ahead it runs, and what is taken back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from greenline.channels.live import recorder
from greenline.channels.live.recorder import Recorder
from greenline.channels.livekit.room import AHEAD_MS
from greenline.channels.livekit.voice import PIECE_BYTES, RATE, RoomVoice
from greenline.channels.socket.outgoing import Outgoing
from greenline.speech.models import Alignment
from support.virtual_time import in_virtual_time, virtual_loop
from support.wait import eventually

HI = Alignment(("H", "i"), (0, 100), (100, 100))


class FakeTrack:
    """Holds one piece, and takes the next when `free` is set."""

    def __init__(self) -> None:
        self.queued = 0.0
        self.played: list[bytes] = []
        self.free = asyncio.Event()

    async def play(self, pcm: bytes) -> None:
        self.played.append(pcm)
        self.queued = len(pcm) / 2 / RATE
        await self.free.wait()

    def clear(self) -> None:
        self.queued = 0.0


class PlayingTrack:
    """As the SDK's: plays on whatever this process does, and takes more while it holds less than `AHEAD_MS`."""

    def __init__(self) -> None:
        self._now = virtual_loop().time
        self._until = 0.0

    @property
    def queued(self) -> float:
        return max(0.0, self._until - self._now())

    async def play(self, pcm: bytes) -> None:
        self._until = self._now() + self.queued + len(pcm) / 2 / RATE
        await asyncio.sleep(max(0.0, self.queued - AHEAD_MS / 1000))

    def clear(self) -> None:
        self._until = 0.0


async def test_speech_is_played_in_pieces_and_in_order() -> None:
    track = FakeTrack()
    track.free.set()
    voice = RoomVoice(track, Outgoing(), shows=True)
    playing = asyncio.create_task(voice.run())
    voice.write(b"a" * (PIECE_BYTES + 2), 1)
    voice.write(b"b" * 10, 1)
    await eventually(lambda: len(track.played) == 3)
    voice.write(b"c" * 10, 2)
    await eventually(lambda: len(track.played) == 4)
    playing.cancel()
    await asyncio.gather(playing, return_exceptions=True)
    assert [(piece[:1], len(piece)) for piece in track.played] == [
        (b"a", PIECE_BYTES),
        (b"a", 2),
        (b"b", 10),
        (b"c", 10),
    ]


async def test_what_was_not_played_is_counted_and_taken_back() -> None:
    track, outgoing = FakeTrack(), Outgoing()
    voice = RoomVoice(track, outgoing, shows=True)
    playing = asyncio.create_task(voice.run())
    voice.write(bytes(RATE * 2), 1, HI)
    await eventually(lambda: track.played)
    assert voice.queued == 1.0
    assert outgoing.waiting_bytes
    assert voice.clear() == 1.0
    assert voice.queued == 0.0
    assert not outgoing.waiting_bytes
    track.free.set()
    voice.write(b"next", 2)
    await eventually(lambda: track.played[-1] == b"next")
    playing.cancel()
    await asyncio.gather(playing, return_exceptions=True)


async def test_alignment_is_kept_from_clients_that_get_no_audio_events() -> None:
    outgoing = Outgoing()
    RoomVoice(FakeTrack(), outgoing, shows=False).write(b"1234", 1, HI)
    assert not outgoing.waiting_bytes


def speech(value: int, seconds: float) -> bytes:
    return np.full(round(seconds * RATE), value, "<i2").tobytes()


def extent(side: np.ndarray, value: int) -> tuple[float, float]:
    """First and last second of a sound."""
    places = np.flatnonzero(side == value)
    return float(places[0]) / recorder.RATE, float(places[-1] + 1) / recorder.RATE


@pytest.mark.parametrize("notices", ["who speaks", "the track"])
def test_what_a_stall_of_the_process_held_up_is_recorded_where_it_is_heard(tmp_path: Path, notices: str) -> None:
    @in_virtual_time
    async def run() -> None:
        loop = virtual_loop()
        recording = Recorder(tmp_path / "ws_1" / "conv_1.pcm", loop.time)
        recording.hear(b"")
        voice = RoomVoice(PlayingTrack(), Outgoing(), shows=False, now=loop.time)
        out = recording.beside(voice)
        playing = asyncio.create_task(voice.run())
        out.write(speech(0, 0.5), 1)
        await asyncio.sleep(2.0)
        out.write(speech(5, 1.0), 2)
        await asyncio.sleep(0.5)
        loop.stand_still(3.0)
        if notices == "the track":
            await asyncio.sleep(0.01)
        out.write(speech(6, 0.5), 2)
        await asyncio.sleep(2.0)
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        assert await recording.close()
        agent = np.frombuffer(recording.path.read_bytes(), "<i2")[1::2]
        assert not agent[round(2.8 * recorder.RATE) : round(5.4 * recorder.RATE)].any()
        assert extent(agent, 5) == pytest.approx((2.0, 5.8), abs=0.06)
        assert extent(agent, 6) == pytest.approx((5.8, 6.3), abs=0.06)

    run()


@in_virtual_time
async def test_what_is_taken_back_after_a_stall_was_heard_as_far_as_the_track_had_it() -> None:
    loop, told = virtual_loop(), list[float]()
    voice = RoomVoice(PlayingTrack(), Outgoing(), shows=False, now=loop.time)
    voice.when_held_up(told.append)
    playing = asyncio.create_task(voice.run())
    voice.write(speech(5, 1.0), 1)
    await asyncio.sleep(0.5)
    loop.stand_still(3.0)
    assert voice.clear() == pytest.approx(0.3, abs=0.05)
    assert told == [pytest.approx(2.8, abs=0.05)]
    voice.write(speech(5, 1.0), 2)
    await asyncio.sleep(2.0)
    assert len(told) == 1
    playing.cancel()
    await asyncio.gather(playing, return_exceptions=True)
