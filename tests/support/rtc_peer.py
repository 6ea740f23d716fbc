"""A caller for tests of media: stock aiortc with a network that loses, delays and reorders what it sends."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Any, cast

from aioice.ice import CandidatePair, Connection
from aiortc import RTCConfiguration, RTCDtlsTransport, RTCPeerConnection, RTCSessionDescription
from av import AudioResampler

from greenline.channels.webrtc.opus import silence
from greenline.channels.webrtc.send import OpusOut, StampedTransport

KEYS = 126
"""Payload type of keys (telephone-event)."""


@dataclass
class Network:
    """What happens to each packet, by a seeded chance; ``cut`` loses all of them."""

    loss: float = 0.0
    jitter_seconds: float = 0.0
    cut: bool = False
    seed: int = 1


class _Impaired(StampedTransport):
    def __init__(self, transport: Any, track: OpusOut, network: Network, spoken: list[float]) -> None:
        super().__init__(transport, track)
        self._network = network
        self.spoken = spoken
        self._chance = random.Random(network.seed)
        self._late: set[asyncio.Task[None]] = set()

    async def _send_rtp(self, data: bytes) -> None:
        if 192 <= data[1] <= 223:
            await super()._send_rtp(data)
            return
        packet = self._track.stamp(data)
        if not data.endswith(silence()):
            self.spoken.append(asyncio.get_running_loop().time())
        if self._network.cut or self._chance.random() < self._network.loss:
            return
        delay = self._chance.random() * self._network.jitter_seconds
        if delay:
            task = asyncio.create_task(self._send_late(packet, delay))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
        else:
            await self._transport._send_rtp(packet)

    async def _send_late(self, packet: bytes, delay: float) -> None:
        await asyncio.sleep(delay)
        if self._transport.state == "connected":
            await self._transport._send_rtp(packet)


class RtcPeer:
    """The other side of a call. ``heard`` is the PCM (16 kHz) of all packets that came, in their order."""

    def __init__(self, network: Network | None = None) -> None:
        self.network = network or Network()
        self.out = OpusOut()
        self.heard = bytearray()
        self.arrivals: list[float] = []
        self.spoken: list[float] = []
        """When packets left that are not plain silence, by the clock of the event loop."""
        self.spoken_to: list[float] = []
        """When such packets came, before any buffer."""
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connection.on("track", self._listen)
        self._listener: asyncio.Task[None] | None = None

    async def offer(self, *, lite: bool = True, setup: str = "actpass") -> str:
        """An offer as Meta's relay makes it: lite, and leaving the choice of roles to us."""
        self._connection.addTrack(self.out)
        await self._connection.setLocalDescription(await self._connection.createOffer())
        if lite:
            _only_answers(self._ice._connection)
        self._impair(KEYS)
        return _as_meta(self._connection.localDescription.sdp, lite=lite, setup=setup)

    async def apply_answer(self, answer: str) -> None:
        """Connect to whoever answered; the keypad works as the answer says."""
        await self._connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def answer(self, offer: str, *, setup: str = "passive") -> str:
        """An answer to a business's offer; ``setup`` as Meta's relay has been seen to write it."""
        await self._connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        self._connection.addTrack(self.out)
        self._connection.getTransceivers()[0].receiver.transport._set_role(
            "client" if setup == "active" else "server"
        )
        self._impair(KEYS)
        _only_answers(self._ice._connection)
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        return _as_meta(self._connection.localDescription.sdp, lite=True, setup=setup)

    @property
    def connected(self) -> bool:
        """Whether sound can flow."""
        return self._connection.connectionState == "connected"

    async def close(self) -> None:
        """Hang up without a word."""
        self.out.stop()
        await self._connection.close()
        if self._listener is not None:
            await self._listener

    async def vanish(self) -> None:
        """Be gone from the network, without a word to the other side."""
        await self._ice._connection.close()

    def count_questions(self) -> list[object]:
        """A list that grows with each check of the other side."""
        connection, asked = self._ice._connection, []
        answer = connection.request_received

        def request_received(message: object, *more: object) -> None:
            asked.append(message)
            answer(message, *more)

        connection.request_received = request_received
        return asked

    @property
    def _ice(self) -> Any:
        return self._connection.getTransceivers()[0].receiver.transport.transport

    def _impair(self, event_payload_type: int) -> None:
        sender = self._connection.getTransceivers()[0].sender
        self.out.event_payload_type = event_payload_type
        sender.setTransport(
            cast("RTCDtlsTransport", _Impaired(sender.transport, self.out, self.network, self.spoken))
        )

    def _watch(self) -> None:
        receiver: Any = self._connection.getTransceivers()[0].receiver
        handle = receiver._handle_rtp_packet

        async def watched(packet: Any, arrival_time_ms: int) -> None:
            if packet.payload_type == KEYS:
                return  # stock aiortc has no decoder for them, and its thread would die
            if packet.payload != silence():
                self.spoken_to.append(asyncio.get_running_loop().time())
            await handle(packet, arrival_time_ms)

        receiver._handle_rtp_packet = watched

    def _listen(self, track: Any) -> None:
        self._watch()
        self._listener = asyncio.create_task(self._hear(track))

    async def _hear(self, track: Any) -> None:
        from aiortc.mediastreams import MediaStreamError

        resampler = AudioResampler(format="s16", layout="mono", rate=16_000)
        loop = asyncio.get_running_loop()
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            self.arrivals.append(loop.time())
            frame.pts = None
            for part in resampler.resample(frame):
                self.heard += bytes(part.planes[0])[: part.samples * 2]


def _only_answers(connection: Connection) -> None:
    """Make a peer lite (RFC 8445, 2.5): it never sends a check, and is always controlled."""
    connection.ice_controlling = False

    async def wait_for_check(pair: CandidatePair) -> None:
        pair.state = CandidatePair.State.SUCCEEDED
        pair.nominated = pair.remote_nominated
        connection.check_complete(pair)

    async def never() -> None:
        await asyncio.Event().wait()

    connection.check_start = wait_for_check  # type: ignore[method-assign]
    connection.query_consent = never  # type: ignore[method-assign]


def _as_meta(sdp: str, *, lite: bool, setup: str) -> str:
    lines = []
    for line in sdp.splitlines():
        if line.startswith("m=") and lite:
            lines.append("a=ice-lite")
        lines.append(f"a=setup:{setup}" if line.startswith("a=setup:") else line)
    return "\r\n".join([*lines, ""])
