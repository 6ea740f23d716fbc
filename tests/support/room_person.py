"""A person in a room, by LiveKit's own SDK: what they say, send, hear and are told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

from livekit import rtc

from support.wait import eventually

Message: TypeAlias = dict[str, Any]
RATE = 48_000
HEARD_RATE = 16_000


class RoomPerson:
    """``seen`` is every message that came, ``heard`` the agent's track as PCM of 16 kHz."""

    def __init__(self) -> None:
        self.room = rtc.Room()
        self.seen: list[Message] = []
        self.heard = bytearray()
        self.left: list[str] = []
        """Identities of others that have gone."""
        self._tasks: list[asyncio.Task[None]] = []
        self.room.on("data_received", lambda packet: self.seen.append(json.loads(packet.data)))
        self.room.on("track_subscribed", lambda track: self._tasks.append(asyncio.create_task(self._listen(track))))
        self.room.on("participant_disconnected", lambda other: self.left.append(other.identity))

    async def send(self, **message: Any) -> None:
        """A message of the client."""
        await self.room.local_participant.publish_data(json.dumps(message), reliable=True)

    async def begin(self, **data: Any) -> Message:
        """The initiation; returns the first message."""
        await self.send(type="conversation_initiation_client_data", **data)
        return await self.until("conversation_initiation_metadata")

    async def until(self, kind: str, matches: Callable[[Message], bool] = lambda message: True) -> Message:
        """The first message of a type."""

        def found() -> list[Message]:
            return [message for message in self.seen if message["type"] == kind and matches(message)]

        await eventually(found)
        return found()[0]

    @contextlib.asynccontextmanager
    async def speaking(self, pcm: bytes) -> AsyncIterator[None]:
        """Say ``pcm`` (48 kHz) into a microphone, in real time; what is left at the end of the block is not said."""
        source = rtc.AudioSource(RATE, 1, 100)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await self.room.local_participant.publish_track(track, options)
        talking = asyncio.create_task(_say(source, pcm))
        try:
            yield
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
            await source.aclose()

    async def aclose(self) -> None:
        """Leave."""
        await self.room.disconnect()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=HEARD_RATE, num_channels=1)
        try:
            async for event in stream:
                self.heard += bytes(event.frame.data)
        finally:
            await stream.aclose()


async def _say(source: rtc.AudioSource, pcm: bytes) -> None:
    step = RATE // 50 * 2
    for at in range(0, len(pcm) - step + 1, step):
        await source.capture_frame(rtc.AudioFrame(pcm[at : at + step], RATE, 1, step // 2))


@contextlib.asynccontextmanager
async def person_in(url: str, token: str) -> AsyncIterator[RoomPerson]:
    """Somebody who joins with ``token``, and leaves at the end."""
    person = RoomPerson()
    await person.room.connect(url, token)
    try:
        yield person
    finally:
        await person.aclose()
