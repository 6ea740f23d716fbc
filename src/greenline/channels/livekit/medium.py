"""How sound goes in a room: on tracks of WebRTC, beside the messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from greenline.agents.config import ConversationConfig
from greenline.channels.livekit.voice import RATE, RoomVoice, Track
from greenline.channels.socket.errors import InvalidMessage
from greenline.channels.socket.medium import Decode, Formats
from greenline.channels.socket.outgoing import Outgoing
from greenline.speech.formats import AudioFormat

if TYPE_CHECKING:
    from greenline.channels.livekit.room import AgentRoom

FORMAT: Final = AudioFormat("pcm", RATE)
"""What clients are told for both ways (reference: WebRTC token); on the wire it is Opus."""


class RoomMedium:
    """`greenline.channels.socket.medium.Medium` over the tracks of a room."""

    def __init__(self, room: AgentRoom, track: Track, outgoing: Outgoing) -> None:
        self._room = room
        self._track = track
        self._outgoing = outgoing
        self._voice: RoomVoice | None = None

    def formats(self, config: ConversationConfig) -> Formats:
        """The same for every agent."""
        return Formats(output=FORMAT, input=FORMAT)

    def voice(self, config: ConversationConfig) -> RoomVoice:
        """The agent's track; messages of ``audio`` carry alignment alone."""
        self._voice = RoomVoice(self._track, self._outgoing, shows="audio" in config.conversation.client_events)
        return self._voice

    def ears(self, config: ConversationConfig) -> Decode:
        """Refuses sound in messages."""
        return _refuse

    async def listen(self, hear: Callable[[bytes], None]) -> None:
        """Hear the microphone and play the voice, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._room.listen(hear))
            tasks.create_task(self.play())

    async def play(self) -> None:
        """Play the voice, if there is one, until cancelled."""
        if self._voice is not None:
            await self._voice.run()


def _refuse(sound: bytes) -> bytes:
    raise InvalidMessage("In a room the person speaks on the track of a microphone: user_audio_chunk is not used.")
