from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenline.channels.webrtc.dtmf import press
from greenline.channels.webrtc.opus import FRAME_BYTES, FRAME_SECONDS, OpusEncoder
from greenline.channels.webrtc.receive import DISORDERLY_SECONDS, ORDERLY_SECONDS, OpusIn
from support.rtp import EVENT, Rtp, packets
from support.virtual_time import in_virtual_time, virtual_loop
from support.voice import RATE, level, tone
from support.wait import eventually


class Listener:
    def __init__(self) -> None:
        self.pcm = bytearray()
        self.digits: list[str] = []
        self.faults: list[Exception] = []
        self.buffer = OpusIn(
            event_payload_type=EVENT,
            on_pcm=self.pcm.extend,
            on_digit=self.digits.append,
            on_fault=self.faults.append,
        )

    def take(self, *some: Rtp) -> None:
        for packet in some:
            assert self.buffer.add(packet) == (False, None)

    @property
    def frames(self) -> int:
        return round(len(self.pcm) / FRAME_BYTES)


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    one = Listener()
    yield one
    one.buffer.close()
    assert not one.faults


async def test_what_is_in_order_is_heard_at_once(listener: Listener) -> None:
    for number, packet in enumerate(packets(10), 1):
        listener.take(packet)
        assert listener.frames == number


@pytest.mark.parametrize(("first", "time"), [(0, 0), (65_530, 0), (100, 0xFFFFFFFF - 3000)])
async def test_reordered_packets_are_put_in_order(listener: Listener, first: int, time: int) -> None:
    encoder, sound = OpusEncoder(), tone(0.2)
    stream = packets(10, first=first, time=time)
    for n, packet in enumerate(stream):
        packet.payload = encoder.encode(sound[n * FRAME_BYTES : (n + 1) * FRAME_BYTES])
    stream[3], stream[5] = stream[5], stream[3]
    listener.take(*stream)
    assert listener.frames == 10
    assert listener.buffer.received.lost == 0
    straight = Listener()
    straight.take(*sorted(stream, key=lambda packet: (packet.sequence_number - first) & 0xFFFF))
    straight.buffer.close()
    assert listener.pcm == straight.pcm


async def test_a_lost_packet_is_heard_as_the_sound_before_it(listener: Listener) -> None:
    encoder, sound, stream = OpusEncoder(), tone(0.2), packets(10)
    for n, packet in enumerate(stream):
        packet.payload = encoder.encode(sound[n * FRAME_BYTES : (n + 1) * FRAME_BYTES])
    listener.take(*stream[:5], *stream[6:])
    assert listener.frames == 5
    await eventually(lambda: listener.frames == 10)
    assert listener.buffer.received.lost == 1
    levels = [level(bytes(listener.pcm[n * FRAME_BYTES : (n + 1) * FRAME_BYTES])) for n in range(10)]
    assert min(levels[2:]) > 0.7 * max(levels)
    listener.take(stream[5])
    assert listener.frames == 10
    assert listener.buffer.received.late == 1


@pytest.mark.parametrize(
    ("is_late", "waited"), [(False, ORDERLY_SECONDS), (True, DISORDERLY_SECONDS)], ids=["orderly", "disorderly"]
)
@in_virtual_time
async def test_who_never_brought_a_packet_too_late_is_not_waited_for(is_late: bool, waited: float) -> None:
    """And nothing but the hole itself is filled, however long it is waited for."""
    one, stream, loop = Listener(), packets(40), asyncio.get_running_loop()

    async def send(*numbers: int) -> None:
        for number in numbers:
            one.take(stream[number])
            await asyncio.sleep(FRAME_SECONDS)

    await send(*range(10), 11, 12, *([10] if is_late else []), 13, 14, 15)
    assert one.frames == 16
    await send(*range(16, 20))
    lost_at = loop.time()
    one.take(stream[21])
    while one.frames < 22:  # noqa: ASYNC110 - sound gives no event
        await asyncio.sleep(0.001)
    assert loop.time() - lost_at == pytest.approx(waited, abs=0.0015)
    await send(*range(22, 40))
    one.buffer.close()
    assert one.frames == 40
    assert one.buffer.received.filled_seconds == pytest.approx(2 * FRAME_SECONDS)


@in_virtual_time
async def test_each_hole_is_waited_for_as_long() -> None:
    """Whatever time of it was left when the one before it was filled."""
    one, stream, loop = Listener(), packets(40), asyncio.get_running_loop()
    one.take(*stream[:10], stream[11])
    await asyncio.sleep(2 * ORDERLY_SECONDS)
    one.take(stream[10])
    assert one.buffer.received.late == 1, "from here on it waits for what comes out of order"
    one.take(*stream[12:20], stream[21])
    began = loop.time()
    await asyncio.sleep(DISORDERLY_SECONDS - 0.02)
    one.take(stream[23])
    await asyncio.sleep(0.01)
    one.take(stream[20])
    assert one.frames == 22
    await asyncio.sleep(DISORDERLY_SECONDS - 0.01)
    assert loop.time() - began > DISORDERLY_SECONDS
    one.take(stream[22])
    one.buffer.close()
    assert one.frames == 24
    assert (one.buffer.received.lost, one.buffer.received.late) == (1, 1)


async def test_a_repeated_packet_shows_no_disorder(listener: Listener) -> None:
    stream = packets(4)
    listener.take(*stream[:2], stream[0], stream[1], stream[3])
    await eventually(lambda: listener.frames == 4)
    assert listener.buffer.received.late == 2
    assert listener.buffer.received.lost == 1


async def test_digits_share_the_sequence_of_the_sound(listener: Listener) -> None:
    before, after = packets(2), packets(2, first=13, time=13 * 960)
    key = [Rtp(2 + n, 2 * 960, payload, EVENT) for n, payload in enumerate(press("7"))]
    listener.take(*before, *key, *after)
    assert listener.digits == ["7"]
    assert listener.frames == 15, "the time of the key is silence"
    assert listener.buffer.received.lost == 0


async def test_a_digit_of_which_one_packet_arrives_is_heard_once(listener: Listener) -> None:
    key = [Rtp(1 + n, 960, payload, EVENT) for n, payload in enumerate(press("#"))]
    listener.take(packets(1)[0], key[-1])
    await eventually(lambda: bool(listener.digits))
    assert listener.digits == ["#"]


@in_virtual_time
async def test_a_peer_that_stops_sending_is_heard_as_silence_in_real_time() -> None:
    listener = Listener()
    listener.take(*packets(2))
    loop = asyncio.get_running_loop()
    began = loop.time()
    await eventually(lambda: listener.frames >= 22)
    assert loop.time() - began == pytest.approx(0.4, abs=0.1)
    spoken = int((loop.time() - began) * 50)
    listener.take(*packets(1, first=2, time=(2 + spoken) * 960))
    assert listener.frames == pytest.approx(2 + spoken + 1, abs=2), "the pause is not heard twice"
    listener.buffer.close()


@in_virtual_time
async def test_what_came_while_the_process_stood_still_is_no_silence() -> None:
    loop, listener = virtual_loop(), Listener()
    first, *rest = packets(50)
    listener.take(first)
    loop.stand_still(0.98)
    await asyncio.sleep(0.01)  # the timer is late, and first
    listener.take(*rest)
    assert listener.frames == 50
    assert listener.buffer.received.filled_seconds == 0
    listener.buffer.close()


@in_virtual_time
async def test_sound_that_is_only_late_has_no_silence_before_it() -> None:
    listener, stream = Listener(), packets(40)
    listener.take(*stream[:20])
    await asyncio.sleep(0.35)
    listener.take(*stream[20:])
    listener.buffer.close()
    assert listener.frames == 40
    assert listener.buffer.received.filled_seconds == 0


@in_virtual_time
async def test_sound_that_is_late_has_no_silence_before_it_where_the_process_stood_still() -> None:
    loop, listener, stream = virtual_loop(), Listener(), packets(40)
    listener.take(*stream[:20])
    await asyncio.sleep(0.3)
    loop.stand_still(0.2)
    await asyncio.sleep(0.001)
    listener.take(*stream[20:])
    listener.buffer.close()
    assert listener.frames == 40
    assert listener.buffer.received.filled_seconds == 0


async def test_a_leap_of_the_timestamps_is_no_pause(listener: Listener) -> None:
    listener.take(*packets(2))
    listener.take(*packets(2, first=2, time=10_000_000))
    assert listener.frames == 4


@pytest.mark.parametrize("first", [20_000, 50_000])
async def test_a_leap_of_the_sequence_is_a_new_beginning(listener: Listener, first: int) -> None:
    listener.take(*packets(2))
    listener.take(*packets(2, first=first, time=5000))
    assert listener.frames == 4


async def test_another_source_is_a_new_beginning(listener: Listener) -> None:
    listener.take(*packets(2, first=100))
    for packet in packets(2, first=90):
        packet.ssrc = 2
        listener.take(packet)
    assert listener.frames == 4


async def test_a_flood_behind_a_hole_is_bounded(listener: Listener) -> None:
    listener.take(packets(1)[0])
    listener.take(*packets(60, first=2, time=1920))
    assert listener.frames >= 60
    assert listener.buffer.received.lost == 1


async def test_nothing_is_heard_after_the_end(listener: Listener) -> None:
    listener.take(*packets(2))
    listener.buffer.close()
    listener.take(*packets(2, first=2, time=1920))
    assert listener.frames == 2


async def test_what_is_no_opus_is_silence(listener: Listener) -> None:
    bad = packets(3)
    bad[1].payload = b"\xff\xff\xff"
    listener.take(*bad)
    assert listener.buffer.received.undecodable == 1
    assert level(bytes(listener.pcm)) < 2


async def test_a_failing_listener_is_reported() -> None:
    faults: list[Exception] = []

    def fails(pcm: bytes) -> None:
        raise RuntimeError("deaf")

    buffer = OpusIn(event_payload_type=EVENT, on_pcm=fails, on_digit=print, on_fault=faults.append)
    buffer.add(packets(1)[0])
    buffer.close()
    assert [str(fault) for fault in faults] == ["deaf"]


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), loss=st.floats(0, 0.4), spread=st.integers(0, 30))
def test_whatever_the_network_does_each_packet_is_counted_once(seed: int, loss: float, spread: int) -> None:
    """Lost, late and heard packets are all packets, and the sound is never longer than the time."""

    async def run() -> None:
        chance = random.Random(seed)
        stream = [packet for packet in packets(80, first=65_500) if chance.random() >= loss]
        order = sorted(range(len(stream)), key=lambda n: n + chance.random() * spread)
        listener = Listener()
        for n in order:
            listener.take(stream[n])
        await asyncio.sleep(0)
        listener.buffer.close()
        assert not listener.faults
        assert listener.buffer.received.packets == len(stream)
        assert len(listener.pcm) / 2 / RATE <= 80 * 0.02 + 0.2

    asyncio.run(run())
