"""The conversation as a whole: its medium, length, events and files."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from greenline.agents.config.base import ConfigModel, Integer, Name
from greenline.agents.config.limits import AtLeast

Duration: TypeAlias = Annotated[Integer, AtLeast(1)]
"""Seconds."""

# The defaults of the reference's socket description; its HTTP description names none.
_CLIENT_EVENTS = [
    "audio",
    "interruption",
    "agent_response",
    "user_transcript",
    "tentative_user_transcript",
    "conversation_initiation_metadata",
    "ping",
]


class FileInputConfig(ConfigModel):
    """Files that a person may send; the model sees the newest ``max_files_in_memory`` of them."""

    enabled: bool = True
    max_files_in_memory: Annotated[int, Field(ge=1, le=30)] = 10
    max_files_per_conversation: Integer | None = 10


class DtmfInputConfig(ConfigModel):
    """Digits from a telephone's keypad; the timeout is in seconds."""

    dtmf_input_timeout: float | None = None
    hash_terminator: bool = False
    redact_input: bool = False


class BackgroundSoundConfig(ConfigModel):
    """A sound under the agent's voice; ``volume`` is a share of full scale."""

    source_type: Literal["preset"] = "preset"
    source_id: Name | None = None
    volume: Annotated[float, Field(ge=0.01, le=1)] = 0.15
    crossfade_loop: bool = True


class ConversationSettings(ConfigModel):
    """The block ``conversation_config.conversation``."""

    text_only: bool = False
    max_duration_seconds: Duration = 600
    client_events: list[Name] = _CLIENT_EVENTS
    file_input: FileInputConfig = FileInputConfig()
    monitoring_enabled: bool = False
    monitoring_events: list[Name] = []
    dtmf_input_settings: DtmfInputConfig | None = None
    background_sound: BackgroundSoundConfig | None = None
    source_attribution: bool = False


class VadConfig(ConfigModel):
    """Voice activity detection: the reference has no field here any more, older ones are kept as they come."""
