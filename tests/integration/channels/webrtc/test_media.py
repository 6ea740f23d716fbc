"""Calls over loopback with a stock aiortc peer: signalling, sound both ways, bad networks, the end."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from greenline.channels.webrtc import consent
from greenline.channels.webrtc.media import ConnectionLost, MediaCall
from support.residue import threads, udp_sockets
from support.rtc_peer import Network, RtcPeer
from support.voice import RATE, tone, voiced_seconds
from support.wait import PATIENCE_SECONDS, eventually


class Ear:
    """What our side heard."""

    def __init__(self) -> None:
        self.pcm = bytearray()
        self.digits: list[str] = []

    @property
    def seconds(self) -> float:
        return len(self.pcm) / 2 / RATE


@asynccontextmanager
async def inbound(
    network: Network | None = None, setup: str = "actpass"
) -> AsyncIterator[tuple[MediaCall, Ear, RtcPeer]]:
    """A call that the peer has begun, connected and accepted."""
    ear, peer = Ear(), RtcPeer(network)
    call = MediaCall(on_pcm=ear.pcm.extend, on_digit=ear.digits.append)
    try:
        answer = await call.answer(await peer.offer(setup=setup))
        await peer.apply_answer(answer)
        await call.start()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await call.connected()
        yield call, ear, peer
    finally:
        await call.close()
        await peer.close()


async def test_an_inbound_call_carries_sound_both_ways() -> None:
    async with inbound() as (call, ear, peer):
        peer.out.open()
        peer.out.write(tone(0.6), 1)
        await eventually(lambda: voiced_seconds(bytes(ear.pcm)) >= 0.58)
        assert not peer.heard, "no sound before the call is accepted"
        call.accepted()
        call.out.write(tone(0.6), 7)
        await eventually(lambda: voiced_seconds(bytes(peer.heard)) >= 0.58)
        assert call.out.queued == 0
        figures = call.statistics()
        assert figures.packets_sent > 25
        assert figures.packets_lost == 0
        assert figures.first_sent_at is not None


@pytest.mark.parametrize("setup", ["passive", "active", "actpass"])
async def test_an_outbound_call_obeys_the_answer(setup: str) -> None:
    ear, peer = Ear(), RtcPeer()
    call = MediaCall(on_pcm=ear.pcm.extend, on_digit=ear.digits.append)
    try:
        offer = await call.offer()
        assert offer.count("a=fingerprint:sha-256") == 1
        assert "sha-384" not in offer
        assert "a=rtpmap:111 opus/48000/2\r\n" in offer
        assert "a=rtpmap:126 telephone-event/8000\r\n" in offer
        assert "a=setup:actpass\r\n" in offer
        assert offer.count("m=") == 1
        await call.apply_answer(await peer.answer(offer, setup=setup))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await call.connected()
        call.accepted()
        peer.out.open()
        call.out.write(tone(0.3), 1)
        peer.out.write(tone(0.3), 1)
        await eventually(lambda: voiced_seconds(bytes(peer.heard)) >= 0.28)
        await eventually(lambda: voiced_seconds(bytes(ear.pcm)) >= 0.28)
    finally:
        await call.close()
        await peer.close()


async def test_silence_is_sent_all_the_time() -> None:
    async with inbound() as (call, _, peer):
        call.accepted()
        await eventually(lambda: len(peer.arrivals) >= 40)
        assert voiced_seconds(bytes(peer.heard)) == 0


async def test_an_interruption_stops_the_voice_at_once() -> None:
    async with inbound() as (call, _, peer):
        call.accepted()
        call.out.write(tone(5.0), 1)
        await eventually(lambda: voiced_seconds(bytes(peer.heard)) >= 0.3)
        left = call.out.clear()
        sent = 5.0 - left
        assert call.out.queued == 0
        count = len(peer.arrivals)
        await eventually(lambda: len(peer.arrivals) >= count + 25)
        assert voiced_seconds(bytes(peer.heard)) == pytest.approx(sent, abs=0.06)
        call.out.write(tone(0.2), 2)  # nothing of the old turn comes with the new one
        await eventually(lambda: voiced_seconds(bytes(peer.heard)) >= sent + 0.16)
        assert voiced_seconds(bytes(peer.heard)) == pytest.approx(sent + 0.2, abs=0.06)


async def test_digits_travel_both_ways() -> None:
    async with inbound() as (call, ear, peer):
        call.accepted()
        peer.out.open()
        peer.out.press("14#4")
        await eventually(lambda: len(ear.digits) == 4)
        assert ear.digits == ["1", "4", "#", "4"]
        assert call.out.event_payload_type is not None
        assert call.statistics().packets_lost == 0, "digits share the sequence of the sound"


async def test_keys_are_sent_before_a_call_counts_as_played() -> None:
    async with inbound() as (call, _, peer):
        call.accepted()
        await eventually(lambda: peer.heard)
        call.out.press("12")
        assert call.out.queued > 0
        await call.played()
        assert call.out.queued == 0


@pytest.mark.parametrize("loss", [0.02, 0.2])
async def test_sound_survives_loss(loss: float) -> None:
    async with inbound(Network(loss=loss, seed=7)) as (call, ear, peer):
        peer.out.open()
        peer.out.write(tone(2.0), 1)
        await eventually(lambda: peer.out.queued == 0)
        await eventually(lambda: ear.seconds >= 2.0)
        assert voiced_seconds(bytes(ear.pcm)) >= 2.0 * (1 - loss) - 0.25
        assert call.statistics().packets_lost > 0


async def test_digits_survive_loss() -> None:
    async with inbound(Network(loss=0.2, seed=3)) as (_, ear, peer):
        peer.out.open()
        peer.out.press("123456")
        await eventually(lambda: len(ear.digits) >= 6)
        assert ear.digits == list("123456")


async def test_sound_survives_jitter_of_300_ms() -> None:
    async with inbound(Network(jitter_seconds=0.3, seed=5)) as (call, ear, peer):
        peer.out.open()
        peer.out.write(tone(1.5), 1)
        await eventually(lambda: peer.out.queued == 0)
        peer.network.jitter_seconds = 0.0
        before = len(ear.pcm)
        peer.out.write(tone(0.5, frequency=700), 2)
        await eventually(lambda: voiced_seconds(bytes(ear.pcm[before:])) >= 0.45)
        assert call.statistics().packets_late > 0


async def test_a_gap_is_heard_as_silence_and_sound_comes_back() -> None:
    async with inbound() as (_, ear, peer):
        peer.out.open()
        peer.out.write(tone(0.4), 1)
        await eventually(lambda: voiced_seconds(bytes(ear.pcm)) >= 0.38)
        peer.network.cut = True
        before, began = ear.seconds, asyncio.get_running_loop().time()
        await eventually(lambda: ear.seconds >= before + 5.0)
        peer.network.cut = False
        peer.out.write(tone(0.4), 2)
        after = len(ear.pcm)
        await eventually(lambda: voiced_seconds(bytes(ear.pcm[after:])) >= 0.36)
        passed = asyncio.get_running_loop().time() - began
        assert ear.seconds - before == pytest.approx(passed, abs=1.0), "the gap is as long as it was"


async def test_a_peer_that_never_comes_is_lost_with_the_call() -> None:
    peer = RtcPeer()
    call = MediaCall(on_pcm=lambda _: None, on_digit=lambda _: None)
    await call.answer(await peer.offer())
    await call.start()  # the peer never gets our answer
    await call.close()
    with pytest.raises(ConnectionLost):
        await call.connected()
    await peer.close()


async def test_a_peer_that_vanishes_is_lost_before_the_person_would_give_up() -> None:
    async with inbound() as (call, _, peer):
        peer.out.open()
        await eventually(lambda: call.statistics().packets_received)
        await peer.vanish()
        async with asyncio.timeout(20):  # aioice alone takes half a minute
            await call.lost()


async def test_a_peer_that_sends_nothing_but_answers_is_there() -> None:
    async with inbound() as (call, _, peer):
        call.accepted()
        asked = peer.count_questions()
        await eventually(lambda: len(asked) > consent.QUESTIONS)
        assert call.statistics().packets_received == 0
        assert call._connection.connectionState == "connected"


async def test_a_listener_that_fails_ends_the_call_and_not_the_process() -> None:
    def fails(pcm: bytes) -> None:
        raise RuntimeError("deaf")

    peer = RtcPeer()
    call = MediaCall(on_pcm=fails, on_digit=lambda _: None)
    await peer.apply_answer(await call.answer(await peer.offer()))
    await call.start()
    await call.connected()
    peer.out.open()
    assert "deaf" in await call.lost()
    await call.close()
    await peer.close()


async def test_calls_leave_nothing_behind() -> None:
    async def one() -> None:
        async with inbound() as (call, ear, peer):
            call.accepted()
            peer.out.open()
            await eventually(lambda: ear.seconds > 0.02)

    await one()
    gc.collect()
    tasks, before = len(asyncio.all_tasks()), threads()
    for _ in range(10):
        await one()
    gc.collect()
    assert len(asyncio.all_tasks()) == tasks
    assert threads() == before
    assert not [thing for thing in gc.get_objects() if isinstance(thing, MediaCall)]


@pytest.mark.parametrize("turns", range(12))
async def test_who_gives_up_while_the_sockets_are_opened_leaves_none(turns: int) -> None:
    before = udp_sockets()
    media = MediaCall(on_pcm=lambda pcm: None, on_digit=lambda digit: None)
    offering = asyncio.create_task(media.offer())
    for _ in range(turns):
        await asyncio.sleep(0)
    offering.cancel()
    await asyncio.gather(offering, return_exceptions=True)
    await media.close()
    assert udp_sockets() == before
