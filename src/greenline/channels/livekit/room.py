"""The agent in a room of a LiveKit server, with one person: what they say and send, and when they leave.

All of the LiveKit SDK is here. It runs in threads of its own and calls back in the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import structlog
from livekit import rtc
from livekit.rtc.participant import PublishDataError, PublishTrackError

from greenline.channels.livekit.errors import RoomUnreachable
from greenline.channels.livekit.voice import RATE
from greenline.channels.socket.errors import ClientLeft, InvalidMessage, TooFast
from greenline.channels.socket.limits import FRAMES_AT_ONCE
from greenline.clock import Clock
from greenline.speech.models import HEARING_RATE

log = structlog.get_logger(__name__)

JOIN_SECONDS: Final = 10.0
LEAVE_SECONDS: Final = 3.0
RECEIPT_SECONDS: Final = 1.5
"""How long the last messages may take: a lost packet is sent again after half a second, and after one more."""
RECEIPT: Final = "greenline.receipt"
"""A method that no client has: each answers so, once it has read what was sent before."""
RETURN_SECONDS: Final = 10.0
"""Time for a person whose network broke: their client joins anew, under the same identity. More than the server takes
to tell of somebody.
"""
GONE_FOR_GOOD: Final = frozenset(
    {
        rtc.DisconnectReason.CLIENT_INITIATED,
        rtc.DisconnectReason.PARTICIPANT_REMOVED,
        rtc.DisconnectReason.ROOM_DELETED,
        rtc.DisconnectReason.ROOM_CLOSED,
    }
)
AHEAD_MS: Final = 200
"""What the track holds of the speech: enough for the stalls of a busy process, and soon forgotten."""
HEARD_MS: Final = 20
HEARD_FRAMES: Final = 250
"""Frames of `HEARD_MS` that wait to be heard; of more, the oldest are dropped."""
MAX_PACKET: Final = 60_000
"""Bytes of a message: the 64,000 that a server takes have to hold LiveKit's own fields too."""


class AgentRoom:
    """One room. A `greenline.channels.socket.wire.Connection` to ``person``, and their microphone and loudspeaker."""

    def __init__(self, person: str, clock: Clock) -> None:
        self.person_came = asyncio.Event()
        self.over = asyncio.Event()
        """Set when one of both is in the room no more."""
        self._room = rtc.Room()
        self._person = person
        self._clock = clock
        self._came: asyncio.Queue[str | Exception] = asyncio.Queue()
        self._flooded = False
        self._connecting: asyncio.Task[None] | None = None
        self._missing: asyncio.Task[None] | None = None
        self._microphone: asyncio.Task[None] | None = None
        self._hear: Callable[[bytes], None] | None = None

    # In and out

    async def join(self, url: str, token: str) -> None:
        """Raises `RoomUnreachable`."""
        self._room.on("participant_connected", self._person_joined)
        self._room.on("participant_disconnected", self._person_left)
        self._room.on("track_subscribed", self._track_came)
        self._room.on("data_received", self._data_came)
        self._room.on("disconnected", self._room_gone)
        self._connecting = asyncio.create_task(self._room.connect(url, token))
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                await asyncio.shield(self._connecting)  # the SDK would join all the same, and never leave again
        except (rtc.ConnectError, TimeoutError) as error:
            log.warning("livekit.unreachable", url=url, error=getattr(error, "message", "") or "no answer")
            raise RoomUnreachable from error
        for participant in self._room.remote_participants.values():
            self._person_joined(participant)

    async def speaker(self) -> RoomTrack:
        """Publish the track of the agent's voice. Raises `RoomUnreachable`."""
        source = rtc.AudioSource(RATE, 1, queue_size_ms=AHEAD_MS)
        track = rtc.LocalAudioTrack.create_audio_track("agent", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                await self._room.local_participant.publish_track(track, options)
        except (PublishTrackError, TimeoutError) as error:
            await source.aclose()
            raise RoomUnreachable from error
        return RoomTrack(source)

    async def leave(self) -> None:
        """Leave the room; the person's client sees the agent go. May be called again."""
        self._end()
        for task in (self._missing, self._microphone):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if self._connecting is not None and not self._connecting.done():
            self._connecting.add_done_callback(self._joined_too_late)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._room.disconnect()

    def _joined_too_late(self, connecting: asyncio.Task[None]) -> None:
        if not connecting.cancelled() and connecting.exception() is None:
            self._missing = asyncio.create_task(self._room.disconnect())

    # Messages

    @property
    def is_open(self) -> bool:
        """Whether both are in the room."""
        return not self.over.is_set()

    async def receive(self) -> str:
        """The next message. Raises `ClientLeft`, `InvalidMessage` for one that is no text, `TooFast`."""
        if self.over.is_set() and self._came.empty():
            raise ClientLeft
        came = await self._came.get()
        if isinstance(came, Exception):
            raise came
        return came

    async def send(self, frame: str) -> None:
        """Send a message to the person. One beyond `MAX_PACKET` would break the connection, and is left out."""
        if self.over.is_set():
            raise ClientLeft
        data = frame.encode()
        if len(data) > MAX_PACKET:
            log.warning("livekit.too_large", bytes=len(data))
            return
        try:
            await self._room.local_participant.publish_data(
                data, reliable=True, destination_identities=[self._person]
            )
        except PublishDataError as error:
            log.warning("livekit.not_sent", error=str(error))
            raise ClientLeft from error

    async def close(self, code: int, reason: str) -> None:
        """Leave, once the person has read what was sent: a room has no word for goodbye."""
        await self._wait_for_receipt()
        await self.leave()

    async def _wait_for_receipt(self) -> None:
        """Who leaves a room loses what is still on its way: their connection to the server is gone with them."""
        asking, leaving = asyncio.create_task(self._ask_for_receipt()), asyncio.create_task(self.over.wait())
        try:
            await asyncio.wait({asking, leaving}, timeout=RECEIPT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (asking, leaving):
                task.cancel()
            await asyncio.gather(asking, leaving, return_exceptions=True)

    async def _ask_for_receipt(self) -> None:
        with contextlib.suppress(rtc.RpcError):
            await self._room.local_participant.perform_rpc(
                destination_identity=self._person, method=RECEIPT, payload=""
            )

    # Sound

    async def listen(self, hear: Callable[[bytes], None]) -> None:
        """Pass on what the person says, at `HEARING_RATE`, until cancelled."""
        self._hear = hear
        try:
            await asyncio.Event().wait()
        finally:
            self._hear = None

    async def _record(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(
            track, sample_rate=HEARING_RATE, num_channels=1, frame_size_ms=HEARD_MS, capacity=HEARD_FRAMES
        )
        try:
            async for event in stream:
                if self._hear is not None:
                    self._hear(bytes(event.frame.data))
        finally:
            await stream.aclose()

    # What the SDK tells

    def _person_joined(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity != self._person:
            return
        self.person_came.set()
        if self._missing is not None:
            self._missing.cancel()
            self._missing = None

    def _person_left(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity != self._person or not self.is_open:
            return
        if participant.disconnect_reason in GONE_FOR_GOOD:
            self._end()
        else:
            self._miss_person()

    def _miss_person(self) -> None:
        """They have `RETURN_SECONDS` from now on to be in the room."""
        if self._missing is not None:
            self._missing.cancel()
        self._missing = asyncio.create_task(self._miss())

    async def _miss(self) -> None:
        await self._clock.sleep(RETURN_SECONDS)
        self._end()

    def _track_came(
        self, track: rtc.Track, publication: rtc.RemoteTrackPublication, participant: rtc.RemoteParticipant
    ) -> None:
        if participant.identity != self._person or track.kind != rtc.TrackKind.KIND_AUDIO:
            return
        if self._microphone is not None:
            self._microphone.cancel()
        self._microphone = asyncio.create_task(self._record(track))
        self._microphone.add_done_callback(self._recorded)

    def _recorded(self, recording: asyncio.Task[None]) -> None:
        """A fault ends the conversation, as one in a message would: the person is not heard any more."""
        if not recording.cancelled() and isinstance(error := recording.exception(), Exception):
            self._came.put_nowait(error)

    def _data_came(self, packet: rtc.DataPacket) -> None:
        if not self.is_open or not self._is_from_person(packet):
            return
        if packet.participant is None:
            self.person_came.set()
            self._miss_person()
        if self._came.qsize() >= FRAMES_AT_ONCE:
            if not self._flooded:
                self._came.put_nowait(TooFast())
            self._flooded = True
            return
        try:
            self._came.put_nowait(packet.data.decode())
        except UnicodeDecodeError:
            self._came.put_nowait(InvalidMessage("The data packet is not UTF-8: send JSON."))

    def _is_from_person(self, packet: rtc.DataPacket) -> bool:
        """Whether they sent it. A server tells up to 3 seconds late of who publishes nothing, and never of who came
        and went meanwhile: until then, what they send is from nobody that the SDK knows.
        """
        if packet.participant is not None:
            return packet.participant.identity == self._person
        return self._person not in self._room.remote_participants  # else it is from the API of the server

    def _room_gone(self, reason: int) -> None:
        self._end()

    def _end(self) -> None:
        if not self.over.is_set():
            self.over.set()
            self._came.put_nowait(ClientLeft())


class RoomTrack:
    """The agent's track (`greenline.channels.livekit.voice.Track`)."""

    def __init__(self, source: rtc.AudioSource) -> None:
        self._source = source

    @property
    def queued(self) -> float:
        """Seconds that it holds and has not played."""
        return self._source.queued_duration

    async def play(self, pcm: bytes) -> None:
        """Add PCM of `RATE`; waits while there is as much as `AHEAD_MS`."""
        await self._source.capture_frame(rtc.AudioFrame(pcm, RATE, 1, len(pcm) // 2))

    def clear(self) -> None:
        """Forget what was not played."""
        self._source.clear_queue()

    async def aclose(self) -> None:
        """Give it back."""
        await self._source.aclose()
