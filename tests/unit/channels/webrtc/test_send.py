from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import pytest
from aiortc.mediastreams import MediaStreamError

from greenline.channels.webrtc.dtmf import read_event
from greenline.channels.webrtc.opus import FRAME_SECONDS, silence
from greenline.channels.webrtc.send import OpusOut
from support.virtual_time import in_virtual_time, virtual_loop
from support.voice import tone

TASKS: Final = Path("/proc/self/task")
HEADER = bytes([0x80, 111]) + bytes(10)


def header(track: OpusOut) -> tuple[int, bool]:
    """Payload type and marker of the packet that the track has just given."""
    byte = track.stamp(HEADER)[1]
    return byte & 0x7F, bool(byte & 0x80)


@in_virtual_time
async def test_nothing_is_given_before_the_peer_has_accepted() -> None:
    track = OpusOut()
    packet = asyncio.create_task(track.recv())
    await asyncio.sleep(0)
    assert not packet.done()
    track.open()
    assert bytes(await packet) == silence()
    track.stop()


@in_virtual_time
async def test_silence_is_sent_all_the_time() -> None:
    track = OpusOut()
    track.open()
    began, times = asyncio.get_running_loop().time(), []
    for _ in range(40):
        assert bytes(await track.recv()) == silence()
        times.append(asyncio.get_running_loop().time() - began)
    assert times == pytest.approx([number * FRAME_SECONDS for number in range(40)], abs=0.001)
    track.stop()


@in_virtual_time
async def test_speech_is_marked_at_its_beginning_and_paced() -> None:
    track = OpusOut()
    track.write(tone(0.06), 3)
    track.open()
    assert track.queued == pytest.approx(0.06)
    loop = asyncio.get_running_loop()
    began = loop.time()
    marks, times = [], []
    for _ in range(5):
        packet = await track.recv()
        times.append(packet.pts)
        marks.append(header(track))
    assert marks == [(111, True), *[(111, False)] * 4]
    assert times == [0, 960, 1920, 2880, 3840]
    assert loop.time() - began >= 0.08
    assert track.queued == 0
    assert track.packets == 5
    track.stop()


@in_virtual_time
async def test_pieces_of_any_length_are_joined() -> None:
    track = OpusOut()
    track.open()
    for _ in range(10):
        track.write(tone(0.003), 1)
    assert track.queued == pytest.approx(0.03)
    await track.recv()
    assert track.queued == pytest.approx(0.01)
    await track.recv()
    assert track.queued == 0
    track.stop()


@in_virtual_time
async def test_clearing_tells_what_was_not_sent() -> None:
    track = OpusOut()
    track.open()
    track.write(tone(1.0), 1)
    await track.recv()
    assert track.clear() == pytest.approx(0.98)
    assert track.queued == 0
    assert bytes(await track.recv()) != silence(), "the codec's last milliseconds"
    assert bytes(await track.recv()) == silence()
    track.stop()


@in_virtual_time
async def test_keys_have_their_own_payload_type_and_one_time_each() -> None:
    track = OpusOut()
    with pytest.raises(ValueError, match="takes no"):
        track.press("1")
    track.event_payload_type = 126
    for wrong in ("", "x", "1 2"):
        with pytest.raises(ValueError, match="keypad has"):
            track.press(wrong)
    track.open()
    track.press("55")
    track.write(tone(0.1), 1)
    assert track.queued == pytest.approx(2 * 16 * FRAME_SECONDS + 0.1), "who speaks after keys is heard after them"
    seen = []
    for _ in range(32):
        packet = await track.recv()
        seen.append((*header(track), packet.pts, read_event(bytes(packet)) if len(bytes(packet)) == 4 else None))
    first, pause, second = seen[:11], seen[11:16], seen[16:27]
    for key, start in ((first, 0), (second, 16 * 960)):
        assert [mark for _, mark, _, _ in key] == [True, *[False] * 10]
        assert {(kind, time) for kind, _, time, _ in key} == {(126, start)}
        assert all(event is not None and event.digit == "5" for *_, event in key)
    assert {kind for kind, *_ in pause} == {111}
    assert track.queued == pytest.approx(0.1)
    track.stop()


@in_virtual_time
async def test_keys_go_out_after_what_was_said_before_them_and_are_not_taken_back() -> None:
    track = OpusOut()
    track.event_payload_type = 126
    track.open()

    async def kinds(count: int) -> list[int]:
        found = []
        for _ in range(count):
            await track.recv()
            found.append(header(track)[0])
        return found

    track.write(tone(0.05), 1)
    track.press("5")
    track.write(tone(0.06), 1)
    assert track.queued == pytest.approx(0.05 + 16 * FRAME_SECONDS + 0.06)
    assert await kinds(15) == [*[111] * 4, *[126] * 11]  # the fourth brings out the end of what was said
    assert track.clear() == pytest.approx(0.06)
    assert track.queued == pytest.approx(5 * FRAME_SECONDS)
    track.press("6")
    assert await kinds(6) == [*[111] * 5, 126]
    track.stop()


@in_virtual_time
async def test_a_pause_between_keys_is_silence() -> None:
    track = OpusOut()
    track.event_payload_type = 126
    track.press("w")
    track.open()
    for _ in range(25):
        assert bytes(await track.recv()) == silence()
        assert header(track) == (111, False)
    track.stop()


@in_virtual_time
async def test_after_a_stall_time_is_left_out() -> None:
    track = OpusOut()
    track.open()
    await track.recv()
    track._began -= 2.0  # as if the process had stood still
    pts = (await track.recv()).pts
    assert pts is not None
    assert pts >= 99 * 960
    track.stop()


@in_virtual_time
async def test_a_stall_is_told_to_whom_it_concerns_once_and_not_after_the_end() -> None:
    track, told = OpusOut(), list[float]()
    track.when_held_up(told.append)
    track.write(tone(1.0), 1)
    virtual_loop().stand_still(1.0)
    track.open()
    await track.recv()
    assert told == [], "what waits for the peer is not held up"
    virtual_loop().stand_still(2.0)
    track.write(tone(0.1), 1)
    assert told == [pytest.approx(1.98, abs=0.03)]
    await track.recv()
    assert len(told) == 1
    track.stop()
    virtual_loop().stand_still(2.0)
    track.write(tone(0.1), 1)
    track.clear()
    assert len(told) == 1


@in_virtual_time
async def test_the_end_wakes_whoever_waits_and_what_was_not_sent_was_not_heard() -> None:
    """Who hangs up closes the media before anybody is told."""
    track = OpusOut()
    track.write(tone(0.1), 1)
    packet = asyncio.create_task(track.recv())
    await asyncio.sleep(0)
    track.stop()
    with pytest.raises(MediaStreamError):
        await packet
    track.write(tone(0.1), 1)
    assert track.queued == pytest.approx(0.2)
    assert track.clear() == pytest.approx(0.2)
    assert track.queued == 0


@pytest.mark.skipif(not TASKS.exists(), reason="the threads of a library are seen on Linux")
async def test_a_track_that_has_ended_has_no_threads() -> None:
    """Of what a call leaves behind some is collected much later; a server of many cores would run out of threads."""
    silence()  # which has an encoder of its own, for all calls
    before = len(list(TASKS.iterdir()))
    tracks = [OpusOut() for _ in range(3)]
    for track in tracks:
        track.write(tone(0.02), 1)
        track.open()
        await track.recv()
        track.stop()
    assert len(list(TASKS.iterdir())) == before
