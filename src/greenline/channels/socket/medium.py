"""How sound goes between a client and its conversation: in the messages of a socket, or beside those of a room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from greenline.agents.config import ConversationConfig
from greenline.channels.live.models import AudioOut
from greenline.channels.socket.ears import Ears
from greenline.channels.socket.outgoing import Outgoing
from greenline.channels.socket.voice import SocketVoice
from greenline.speech.formats import AudioFormat, audio_format

Decode: TypeAlias = Callable[[bytes], bytes]
"""From what a client sends to PCM at `greenline.speech.models.HEARING_RATE`, in pieces of any size."""


@dataclass(frozen=True, slots=True)
class Formats:
    """What is announced to the client."""

    output: AudioFormat
    input: AudioFormat


class Medium(Protocol):
    """The way of the sound of one client."""

    def formats(self, config: ConversationConfig) -> Formats:
        """The formats; no override of a conversation changes them."""
        ...

    def voice(self, config: ConversationConfig) -> AudioOut:
        """Where the agent speaks."""
        ...

    def ears(self, config: ConversationConfig) -> Decode:
        """What to do with sound in messages; may raise `greenline.channels.socket.errors.InvalidMessage`."""
        ...

    async def listen(self, hear: Callable[[bytes], None]) -> None:
        """Pass on the PCM that comes beside the messages, and play the voice, until cancelled."""
        ...

    async def play(self) -> None:
        """Play the newest voice, to a person who is not listened to yet, until cancelled."""
        ...


class InMessages:
    """Sound of both sides as base64 in the messages, in the formats of the agent."""

    def __init__(self, outgoing: Outgoing, now: Callable[[], float]) -> None:
        self._outgoing = outgoing
        self._now = now

    def formats(self, config: ConversationConfig) -> Formats:
        """Those that the agent's configuration names."""
        return Formats(
            output=audio_format(config.tts.agent_output_audio_format),
            input=audio_format(config.asr.user_input_audio_format),
        )

    def voice(self, config: ConversationConfig) -> SocketVoice:
        """Frames of ``audio``, unless the agent's list of events leaves them out."""
        sounds = self.formats(config).output
        audible = "audio" in config.conversation.client_events
        return SocketVoice(self._outgoing, rate=sounds.rate, encode=sounds.from_pcm, now=self._now, audible=audible)

    def ears(self, config: ConversationConfig) -> Decode:
        """From the announced format."""
        return Ears(self.formats(config).input).decode

    async def listen(self, hear: Callable[[bytes], None]) -> None:
        """There is nothing beside the messages."""
        await asyncio.Event().wait()

    async def play(self) -> None:
        """The client plays what it is sent."""
        await asyncio.Event().wait()
