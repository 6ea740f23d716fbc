"""A caller that measures: it speaks in real time over aiortc, loses packets by a seed, and notes when it hears what.

Times are of `time.monotonic`, which all processes of a machine share. Loss and jitter happen to what the caller
sends; what it receives is taken as it comes from the socket, with no playout buffer in between.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import voice_script as script
from aiortc import RTCConfiguration, RTCDtlsTransport, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import Packet

from greenline.channels.webrtc.opus import FRAME_BYTES, FRAME_SECONDS, FRAME_TICKS, OpusDecoder, OpusEncoder

_JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"
_TIME_BASE = Fraction(1, 48_000)


@dataclass(frozen=True)
class Network:
    """What happens to what a caller sends."""

    loss: float = 0.0
    jitter_seconds: float = 0.0
    seed: int = 1


@dataclass(frozen=True)
class Speech:
    """What is being said: when its first packet was sent, and the last one of its voice."""

    begun: asyncio.Future[float]
    ended: asyncio.Future[float]
    trail: int


class Mouth(MediaStreamTrack):
    """Sends prepared packets, one every 20 ms; when there is nothing to say, ``idle`` ones round and round."""

    kind = "audio"

    def __init__(self, idle: Sequence[bytes], *, phase: int = 0) -> None:
        super().__init__()
        self._idle = idle
        self._phase = phase
        self._queue: deque[bytes] = deque()
        self._begun = 0.0
        self._number = 0
        self._speech: Speech | None = None
        self.rounds: list[float] = []
        """When the first packet of ``idle`` was sent, each time."""
        self.lateness: list[float] = []
        """Seconds by which each packet was sent too late, as the caller had no time."""

    def say(self, packets: Sequence[bytes], trail: int = 0) -> Speech:
        """Send ``packets``, of which the last ``trail`` hold silence."""
        loop = asyncio.get_running_loop()
        self._speech = Speech(loop.create_future(), loop.create_future(), trail)
        self._queue.extend(packets)
        return self._speech

    async def recv(self) -> Packet[Any]:
        """The next packet, when it is due."""
        if self._number == 0:
            self._begun = time.monotonic()
        wait = self._begun + self._number * FRAME_SECONDS - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        self.lateness.append(time.monotonic() - self._begun - self._number * FRAME_SECONDS)
        if self.readyState != "live":
            raise MediaStreamError
        packet: Packet[Any] = Packet(self._next())
        packet.pts, packet.time_base = self._number * FRAME_TICKS, _TIME_BASE
        self._number += 1
        return packet

    def _next(self) -> bytes:
        if not self._queue:
            place = (self._number + self._phase) % len(self._idle)
            if place == 0:
                self.rounds.append(time.monotonic())
            return self._idle[place]
        data, speech, now = self._queue.popleft(), self._speech, time.monotonic()
        if speech is not None and not speech.begun.done():
            speech.begun.set_result(now)
        if speech is not None and len(self._queue) == speech.trail:
            speech.ended.set_result(now)
        return data


class Ear:
    """Stands in the place of aiortc's jitter buffer. Decodes each packet as it comes if ``listen`` is set."""

    capacity = 16

    def __init__(self, *, listen: bool) -> None:
        self._decoder = OpusDecoder() if listen else None
        self._waiting: asyncio.Future[float] | None = None
        self.arrivals: list[tuple[float, int]] = []
        """When each packet came, with its timestamp."""
        self.bytes = 0
        self.loud_at = 0.0
        """When the last loud packet came."""

    def add(self, packet: Any) -> tuple[bool, None]:
        """Take a packet."""
        now = time.monotonic()
        self.arrivals.append((now, packet.timestamp))
        self.bytes += len(packet._data)
        if self._decoder is not None and script.is_loud(self._decoder.decode(packet._data)):
            self.loud_at = now
            if self._waiting is not None and not self._waiting.done():
                self._waiting.set_result(now)
        return False, None

    async def sound(self, seconds: float) -> float:
        """When the next loud packet came. Raises ``TimeoutError`` after ``seconds``."""
        self._waiting = asyncio.get_running_loop().create_future()
        return await asyncio.wait_for(self._waiting, seconds)

    async def silence(self, seconds: float, *, lasting: float = 0.3) -> float:
        """When the last loud packet came before ``lasting`` seconds without one. Raises ``TimeoutError``."""
        async with asyncio.timeout(seconds):
            while (left := self.loud_at + lasting - time.monotonic()) > 0:  # noqa: ASYNC110 - not to hear is no event
                await asyncio.sleep(left)
        return self.loud_at


class _Impaired:
    """Stands between aiortc's sender and its transport."""

    def __init__(self, transport: Any, network: Network) -> None:
        self._transport = transport
        self._network = network
        self._chance = random.Random(network.seed)

    async def _send_rtp(self, data: bytes) -> None:
        is_rtcp = 192 <= data[1] <= 223  # RFC 5761, 4
        if not is_rtcp and self._chance.random() < self._network.loss:
            return
        delay = 0.0 if is_rtcp else self._chance.random() * self._network.jitter_seconds
        if delay:
            asyncio.get_running_loop().call_later(delay, self._send_late, data)
        else:
            await self._transport._send_rtp(data)

    def _send_late(self, data: bytes) -> None:
        if self._transport.state == "connected":
            self._late = asyncio.ensure_future(self._transport._send_rtp(data))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Caller:
    """One call to a bot at ``port``. Use `dial` first and `hang_up` last."""

    def __init__(self, mouth: Mouth, *, network: Network | None = None, listen: bool = True) -> None:
        self.mouth = mouth
        self.ear = Ear(listen=listen)
        self._network = network or Network()
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._writer: asyncio.StreamWriter | None = None
        self._reader: asyncio.StreamReader | None = None

    async def dial(self, port: int, **options: Any) -> None:
        """Return when sound flows both ways."""
        self._connection.addTrack(self.mouth)
        transceiver = self._connection.getTransceivers()[0]
        assert hasattr(transceiver.receiver, _JITTER_BUFFER)
        setattr(transceiver.receiver, _JITTER_BUFFER, self.ear)
        await self._connection.setLocalDescription(await self._connection.createOffer())
        sender = transceiver.sender
        sender.setTransport(cast("RTCDtlsTransport", _Impaired(sender.transport, self._network)))
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
        answer = await self._ask({"sdp": self._connection.localDescription.sdp, **options})
        await self._connection.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        async with asyncio.timeout(20):
            while not self.ear.arrivals:  # noqa: ASYNC110 - the first packet has no event of its own
                await asyncio.sleep(0.02)

    async def figures(self) -> dict[str, Any]:
        """What the bot knows of the call."""
        return await self._ask({})

    async def hang_up(self) -> None:
        """End the call at both ends."""
        if self._writer is not None:
            self._writer.close()
        self.mouth.stop()
        await self._connection.close()

    async def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        assert self._reader is not None
        assert self._writer is not None
        self._writer.write(json.dumps(message).encode() + b"\n")
        found: dict[str, Any] = json.loads(await self._reader.readline())
        return found


def encode(pcm: bytes) -> list[bytes]:
    """16-bit PCM of 16 kHz as packets of 20 ms."""
    encoder = OpusEncoder()
    frames = [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]
    return [encoder.encode(frame) for frame in frames]
