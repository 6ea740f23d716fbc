"""From the sound of a conversation to its MP3, and what a killed process leaves."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import av
import numpy as np
import pytest

from greenline.agents.config.privacy import PrivacyConfig
from greenline.channels.live.recorder import RATE, Recorder
from greenline.channels.live.recordings import Recordings
from greenline.clock import ManualClock
from greenline.conversations.events import Ended
from greenline.conversations.recordings import find_recording, read_recording
from greenline.store.objects import FolderObjects
from greenline.store.pool import Pool
from support.journal import projection, started, write
from support.rows import WORKSPACE, insert_workspace
from support.voice import tone
from support.wait import until


class Seconds:
    """A clock that the test moves."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def objects(tmp_path: Path) -> FolderObjects:
    return FolderObjects(tmp_path)


@pytest.fixture
def now() -> Seconds:
    return Seconds()


@pytest.fixture
async def recordings(
    pool: Pool, clock: ManualClock, objects: FolderObjects, tmp_path: Path
) -> AsyncIterator[Recordings]:
    await insert_workspace(pool, clock.now())
    part = Recordings(pool, objects, clock, tmp_path)
    part.start()
    yield part
    await part.stop(5.0)


async def converse(pool: Pool, *, over: bool = True) -> None:
    row = projection(text_only=False)
    await write(pool, row, [(0, started(row)), *([(4.0, Ended(reason="Call ended"))] if over else [])])


def begin(recordings: Recordings, now: Seconds) -> Recorder:
    recorder = recordings.begin(WORKSPACE, "conv_1", PrivacyConfig(), now)
    assert recorder is not None
    return recorder


def left_over(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "spool").glob("*/*"))


async def test_both_sides_are_in_the_mp3(
    recordings: Recordings, pool: Pool, objects: FolderObjects, tmp_path: Path, now: Seconds
) -> None:
    await converse(pool)
    recorder = begin(recordings, now)
    recorder.hear(tone(1.0, frequency=300))
    recorder.speak(tone(1.0, frequency=600), 0.0)
    now.seconds = 2.0
    await recorder.close()
    recording = await until(lambda: find_recording(pool, WORKSPACE, "conv_1"))
    assert (recording.has_user, recording.has_agent, recording.seconds) == (True, True, 1.0)
    mp3 = b"".join([piece async for piece in read_recording(objects, recording, 0, recording.size_bytes)])
    with av.open(io.BytesIO(mp3), "r") as file:
        sound = np.concatenate([frame.to_ndarray() for frame in file.decode(audio=0)], axis=1)
    loudest = [np.argmax(np.abs(np.fft.rfft(side))) * RATE / sound.shape[1] for side in sound]
    assert loudest == pytest.approx([300, 600], rel=0.02)
    await recordings.stop(5.0)
    assert left_over(tmp_path) == []


async def test_what_a_killed_process_left_is_found(recordings: Recordings, pool: Pool, tmp_path: Path) -> None:
    """Its conversation was ended by another process; the file may end in the middle of a sample."""
    await converse(pool)
    left = tmp_path / "spool" / WORKSPACE / "conv_1.pcm"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"\1\0\0\0" * RATE + b"\1")
    await recordings.sweep()
    recording = await until(lambda: find_recording(pool, WORKSPACE, "conv_1"))
    assert (recording.has_user, recording.has_agent, recording.seconds) == (True, False, 1.0)


async def test_a_conversation_that_runs_elsewhere_is_left_alone(
    recordings: Recordings, pool: Pool, tmp_path: Path
) -> None:
    await converse(pool, over=False)
    left = tmp_path / "spool" / WORKSPACE / "conv_1.pcm"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"\1\0\0\0" * RATE)
    await recordings.sweep()
    await recordings.stop(5.0)
    assert left_over(tmp_path) == [left]


async def test_what_another_process_still_writes_is_not_taken_for_left_behind(
    recordings: Recordings, pool: Pool, objects: FolderObjects, clock: ManualClock, tmp_path: Path, now: Seconds
) -> None:
    """Its conversation is over, as it is between the end in the journal and the last second of the sound."""
    await converse(pool)
    recorder = begin(recordings, now)
    recorder.hear(tone(0.5))
    now.seconds = 3.0
    writing = asyncio.create_task(recorder.run())
    await until(lambda: asyncio.to_thread(recorder.path.exists))
    other = Recordings(pool, objects, clock, tmp_path)
    other.start()
    await other.sweep()
    await other.stop(5.0)
    assert left_over(tmp_path) == [recorder.path]
    writing.cancel()
    recorder.hear(tone(0.5))
    await recorder.close()
    recording = await until(lambda: find_recording(pool, WORKSPACE, "conv_1"))
    assert recording.seconds == pytest.approx(3.0)


async def test_a_deleted_conversation_leaves_no_recording(
    recordings: Recordings, pool: Pool, tmp_path: Path, now: Seconds
) -> None:
    recorder = begin(recordings, now)
    recorder.hear(tone(1.0))
    await recorder.close()
    await recordings.stop(5.0)
    assert left_over(tmp_path) == []
    assert list((tmp_path / "recordings").rglob("*.mp3")) == []


async def test_a_storage_that_fails_gets_the_recording_later(
    recordings: Recordings, pool: Pool, tmp_path: Path, now: Seconds
) -> None:
    await converse(pool)
    (tmp_path / "recordings").write_text("in the way")
    recorder = begin(recordings, now)
    recorder.hear(tone(1.0))
    await recorder.close()
    await recordings.stop(5.0)
    assert await find_recording(pool, WORKSPACE, "conv_1") is None
    (tmp_path / "recordings").unlink()
    recordings.start()
    await until(lambda: find_recording(pool, WORKSPACE, "conv_1"))


async def test_a_recorder_writes_while_it_runs(recordings: Recordings, now: Seconds) -> None:
    recorder = begin(recordings, now)
    recorder.hear(tone(0.5))
    now.seconds = 2.0
    writing = asyncio.create_task(recorder.run())
    await until(lambda: asyncio.to_thread(recorder.path.exists))
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert await recorder.close()


@pytest.mark.parametrize("privacy", [PrivacyConfig(record_voice=False), PrivacyConfig(zero_retention_mode=True)])
async def test_an_agent_that_forbids_it_is_not_recorded(recordings: Recordings, privacy: PrivacyConfig) -> None:
    assert recordings.begin(WORKSPACE, "conv_1", privacy) is None
