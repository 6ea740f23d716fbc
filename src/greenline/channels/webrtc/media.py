"""The media of one call: from two session descriptions to sound both ways, and back to nothing."""

from __future__ import annotations

import asyncio
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import structlog
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDtlsTransport,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)

from greenline.channels.webrtc import consent
from greenline.channels.webrtc.errors import UnusableSdp
from greenline.channels.webrtc.receive import OpusIn
from greenline.channels.webrtc.sdp import EVENT_PAYLOAD_TYPE, Peer, own_description, read_peer
from greenline.channels.webrtc.send import OpusOut, StampedTransport

log = structlog.get_logger(__name__)

_JITTER_BUFFER: Final = "_RTCRtpReceiver__jitter_buffer"


class ConnectionLost(Exception):
    """The peer can't be reached, or can't be reached any more."""


@dataclass(frozen=True, slots=True)
class MediaStatistics:
    """Counts of a call; times are seconds of the event loop's clock."""

    packets_received: int
    packets_lost: int
    packets_late: int
    packets_undecodable: int
    digits_received: int
    seconds_filled: float
    packets_sent: int
    first_received_at: float | None
    last_received_at: float | None
    first_sent_at: float | None


class MediaCall:
    """A peer connection with one audio stream: either `answer` and `start`, or `offer` and `apply_answer`.

    ``on_pcm`` gets what the person says as 16-bit PCM of 16 kHz, ``on_digit`` the keys they press; both run in the
    event loop and must not wait. Speech is written to ``out``; nothing is sent before `accepted`.
    """

    def __init__(self, *, on_pcm: Callable[[bytes], None], on_digit: Callable[[str], None]) -> None:
        self.out = OpusOut()
        self._on_pcm = on_pcm
        self._on_digit = on_digit
        self._incoming: OpusIn | None = None
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._connection.on("connectionstatechange", self._changed)
        self._local: RTCSessionDescription | None = None
        self._gathering: asyncio.Task[None] | None = None
        self._connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def heard_at(self) -> float:
        """As `OpusIn.heard_at`, while ``on_pcm`` runs."""
        return self._incoming.heard_at if self._incoming is not None else 0.0

    # Signalling

    async def answer(self, offer: str) -> str:
        """Our answer, with all candidates. The peer must have it before `start`. Raises `UnusableSdp`."""
        peer = read_peer(offer, "offer")
        await self._set_remote(peer, "offer")
        self._connection.addTrack(self.out)
        await self._gather()
        # Set as the local description it would begin to knock at a peer that knows nothing of us yet.
        self._local = await self._connection.createAnswer()
        return own_description(self._local.sdp)

    async def start(self) -> None:
        """Connect to the peer that has our answer."""
        await self._connection.setLocalDescription(self._local)

    async def offer(self) -> str:
        """Our offer, with all candidates."""
        self._connection.addTrack(self.out)
        self._hook(self._connection.getTransceivers()[0], EVENT_PAYLOAD_TYPE)
        await self._gather()
        await self._connection.setLocalDescription(await self._connection.createOffer())
        return own_description(self._connection.localDescription.sdp)

    async def apply_answer(self, answer: str) -> None:
        """Connect to the peer that has answered our offer. Raises `UnusableSdp`."""
        await self._set_remote(read_peer(answer, "answer"), "answer")

    # Life

    async def connected(self) -> None:
        """Return when sound can flow. Raises `ConnectionLost` if it never will."""
        await asyncio.shield(self._connected)

    async def lost(self) -> str:
        """Return when the peer is gone, with a reason for the log."""
        return await asyncio.shield(self._lost)

    def accepted(self) -> None:
        """The peer has accepted: send, silence first."""
        self.out.open()

    async def played(self) -> None:
        """Return when all speech and keys that were given to ``out`` are sent, or the peer is gone."""
        while (left := self.out.queued) and not self._lost.done():  # noqa: ASYNC110 - it may grow
            await asyncio.sleep(left)

    def statistics(self) -> MediaStatistics:
        """What has flowed so far."""
        incoming = self._incoming
        received = incoming.received if incoming is not None else None
        return MediaStatistics(
            packets_received=received.packets if received else 0,
            packets_lost=received.lost if received else 0,
            packets_late=received.late if received else 0,
            packets_undecodable=received.undecodable if received else 0,
            digits_received=received.digits if received else 0,
            seconds_filled=received.filled_seconds if received else 0.0,
            packets_sent=self.out.packets,
            first_received_at=incoming.first_packet_at if incoming else None,
            last_received_at=incoming.last_packet_at if incoming else None,
            first_sent_at=self.out.first_packet_at,
        )

    async def close(self) -> None:
        """Leave nothing behind: no task, socket or thread. May be called at any time, and again."""
        if self._incoming is not None:
            self._incoming.close()
        self.out.stop()
        if self._gathering is not None:
            await asyncio.wait({self._gathering})
        await self._connection.close()
        self._lose("closed")

    # The way into aiortc

    async def _set_remote(self, peer: Peer, kind: str) -> None:
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(peer.sdp, kind))
        except Exception as error:  # the boundary of a foreign description: aiortc raises whatever it leads to
            raise UnusableSdp(f"The session description can't be applied: {error!r}"[:300]) from error
        self._hook(self._connection.getTransceivers()[0], peer.event_payload_type)

    async def _gather(self) -> None:
        """Open the sockets. In a task of its own: cut short it would forget, open, those that it has."""
        transport = self._connection.getTransceivers()[0].receiver.transport
        self._gathering = asyncio.create_task(transport.transport.iceGatherer.gather())
        await asyncio.shield(self._gathering)

    def _hook(self, transceiver: RTCRtpTransceiver, event_payload_type: int | None) -> None:
        self.out.event_payload_type = event_payload_type
        if self._incoming is not None:
            return
        receiver, sender = transceiver.receiver, transceiver.sender
        ice: Any = receiver.transport.transport._connection  # noqa: SLF001 - as below
        hooks = (
            (receiver, _JITTER_BUFFER),
            (sender.transport, "_send_rtp"),
            (ice, "query_consent"),
            (ice, "_closing"),
        )
        if not all(hasattr(part, name) for part, name in hooks):
            raise ImportError("this version of aiortc is built in another way than the one that is pinned")
        self._incoming = OpusIn(
            event_payload_type=event_payload_type or EVENT_PAYLOAD_TYPE,
            on_pcm=self._on_pcm,
            on_digit=self._on_digit,
            on_fault=self._fault,
        )
        setattr(receiver, _JITTER_BUFFER, self._incoming)
        sender.setTransport(cast("RTCDtlsTransport", StampedTransport(sender.transport, self.out)))
        ice.query_consent = functools.partial(consent.watch, ice, self._quiet)

    def _quiet(self) -> float:
        """Seconds since the last sound of the peer, or for ever."""
        last = self._incoming.last_packet_at if self._incoming is not None else None
        return math.inf if last is None else asyncio.get_running_loop().time() - last

    def _changed(self) -> None:
        state = self._connection.connectionState
        if state == "connected" and not self._connected.done():
            self._connected.set_result(None)
        elif state in ("failed", "closed"):
            self._lose(f"the connection is {state}")

    def _fault(self, error: Exception) -> None:
        if not self._lost.done():
            log.error("media.fault", exc_info=error)
        self._lose(f"a listener failed: {error!r}")

    def _lose(self, reason: str) -> None:
        if not self._connected.done():
            self._connected.set_exception(ConnectionLost(reason))
            self._connected.exception()  # nobody has to wait for it
        if not self._lost.done():
            self._lost.set_result(reason)
