"""The relay's media over loopback: keys in both directions, G.711, and connectivity checks that it does not take."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import cast

import pytest
from aioice import stun
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpCodecParameters, RTCSessionDescription
from aiortc.codecs import CODECS, PCMA_CODEC, PCMU_CODEC

from greenline.channels.webrtc.media import MediaCall
from greenline.emulator.calls.keys import Keypad
from greenline.emulator.calls.peer import FRAME, Mouth, Peer
from support.voice import tone, voiced_seconds
from support.wait import PATIENCE_SECONDS, eventually


def wide_tone(seconds: float) -> bytes:
    """A tone at the relay's 48 kHz, three times the rate of the helpers."""
    return tone(3 * seconds, frequency=130.0)


def heard_seconds(pcm: bytearray) -> float:
    """Seconds of voice at 48 kHz."""
    return voiced_seconds(bytes(pcm)) / 3


class Business:
    """The server's own media, and what it heard."""

    def __init__(self) -> None:
        self.pcm = bytearray()
        self.keys: list[str] = []
        self.call = MediaCall(on_pcm=self.pcm.extend, on_digit=self.keys.append)


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Business, Peer, list[str], bytearray]]:
    """A call that a person has begun and the business has taken; with what the person heard."""
    business, keys, heard = Business(), list[str](), bytearray()
    peer = Peer(heard.extend, lite=True, on_key=keys.append)
    try:
        await peer.apply_answer(await business.call.answer(await peer.offer()))
        await business.call.start()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await business.call.connected()
        business.call.accepted()
        yield business, peer, keys, heard
    finally:
        await business.call.close()
        await peer.close()


async def test_keys_travel_both_ways_beside_the_sound() -> None:
    async with connected() as (business, peer, keys, heard):
        await eventually(peer.first_packet.is_set)
        peer.keypad.press("4711")
        business.call.out.press("0#")
        business.call.out.write(tone(0.4), 1)
        await eventually(lambda: len(business.keys) == 4 and len(keys) == 2 and not peer.keypad.pressing)
        assert (business.keys, keys) == (list("4711"), list("0#"))
        await eventually(lambda: heard_seconds(heard) >= 0.35)
        assert business.call.statistics().packets_lost == 0


async def test_the_sound_waits_while_keys_are_pressed() -> None:
    async with connected() as (business, peer, _, _):
        await eventually(peer.first_packet.is_set)
        peer.keypad.press("5")
        peer.mouth.say(wide_tone(0.5))
        await eventually(lambda: voiced_seconds(bytes(business.pcm)) >= 0.47)
        assert business.keys == ["5"]


async def test_who_speaks_live_is_waited_for() -> None:
    """Silence between a frame and one that is late would tear a word apart; who is gone for longer is silent."""
    began, frame = asyncio.Event(), b"\1\0" * FRAME
    began.set()
    mouth = Mouth(began, Keypad(lambda key: None))

    async def said() -> bytes:
        return bytes((await mouth.recv()).planes[0])[: len(frame)]

    mouth.say(frame, live=True)
    assert await said() == frame
    asyncio.get_running_loop().call_later(0.1, partial(mouth.say, frame, live=True))
    assert await said() == frame
    assert await said() == bytes(len(frame))
    mouth.say(frame)
    assert await said() == frame


async def test_g711_is_spoken_where_the_number_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    opus = RTCRtpCodecParameters("audio/opus", 48_000, 2, 96)
    monkeypatch.setitem(CODECS, "audio", [opus, PCMU_CODEC, PCMA_CODEC])  # as the emulator's process has them
    heard = bytearray()
    person = Peer(heard.extend, lite=True, g711=["PCMA"])
    speaks = asyncio.Event()
    speaks.set()
    mouth = Mouth(speaks, person.keypad)
    business = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        offer = await person.offer()
        assert "SAVPF 111 8 126\r\n" in offer
        assert "PCMU" not in offer
        business.addTrack(mouth)
        wanted = re.sub(r"a=(rtpmap|fmtp|rtcp-fb):111 .*\r\n", "", offer.replace(" 111 8 126", " 8"))
        await business.setRemoteDescription(RTCSessionDescription(wanted, "offer"))
        await business.setLocalDescription(await business.createAnswer())
        answer = business.localDescription.sdp
        assert re.search(r"m=audio \d+ \S+ 8\r\n", answer)
        await person.apply_answer(answer)
        mouth.say(wide_tone(0.4))
        await eventually(lambda: heard_seconds(heard) >= 0.35)
    finally:
        mouth.stop()
        await business.close()
        await person.close()


class Checks(asyncio.DatagramProtocol):
    """Sends connectivity checks, and keeps the code of each refusal; 0 for a check that was taken."""

    def __init__(self) -> None:
        self.answers: list[int] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        message = stun.parse_message(data)
        self.answers.append(message.error_code or 0)

    def check(self, relay: tuple[str, int], user: str, password: str, role: str) -> None:
        """Send a check in a role, signed with ``password``."""
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        message.attributes |= {"USERNAME": user, "PRIORITY": 1, role: 0}
        message.add_message_integrity(password.encode())
        self.transport.sendto(bytes(message), relay)


async def test_the_relay_wants_signed_checks_of_a_controlling_peer() -> None:
    peer = Peer(lambda pcm: None, lite=True)
    offer = await peer.offer()
    found = re.search(r"candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+)", offer)
    parts = [re.search(rf"a=ice-{name}:(\S+)", offer) for name in ("ufrag", "pwd")]
    assert found is not None
    fragment, password = (part.group(1) for part in parts if part is not None)
    loop = asyncio.get_running_loop()
    transport, checks = await loop.create_datagram_endpoint(Checks, local_addr=("127.0.0.1", 0))
    relay = found.group(1), int(found.group(2))
    try:
        for secret, role in (
            ("wrong" * 5, "ICE-CONTROLLING"),
            (password, "ICE-CONTROLLED"),
            (password, "ICE-CONTROLLING"),
        ):
            checks.check(relay, f"{fragment}:me", secret, role)
        await eventually(lambda: len(checks.answers) == 3)
        assert checks.answers == [401, 487, 0]
    finally:
        transport.close()
        await peer.close()
