"""Speech synthesis."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from greenline.agents.config.asr import AudioFormat
from greenline.agents.config.base import ConfigModel, Integer, Name

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Speed: TypeAlias = Annotated[float, Field(ge=0.7, le=1.2)]


class SupportedVoice(ConfigModel):
    """A further voice, used for the text that the model marks with its label."""

    label: Name
    voice_id: Name
    description: str | None = None
    language: str | None = None
    model_family: Name | None = None
    optimize_streaming_latency: Integer | None = None
    stability: Share | None = None
    speed: Speed | None = None
    similarity_boost: Share | None = None
    clone_strength: float | None = None


class SuggestedAudioTag(ConfigModel):
    """A tag such as ``laughs`` that expressive models understand."""

    tag: Annotated[str, Field(min_length=1, max_length=30)]
    description: Annotated[str, Field(max_length=200)] | None = None


class PronunciationDictionaryLocator(ConfigModel):
    """A pronunciation dictionary, at its newest version when none is named."""

    pronunciation_dictionary_id: str
    version_id: str | None = None


class AudioEffects(ConfigModel):
    """Effects on the generated speech; ``pan`` goes from -1 (left) to 1 (right)."""

    filter_preset_id: str | None = None
    distance: Share = 0.0
    environment_id: str | None = None
    background_noise_id: str | None = None
    send_level: Share = 0.0
    pan: Annotated[float, Field(ge=-1, le=1)] = 0.0


class TtsConfig(ConfigModel):
    """How text becomes speech."""

    model_id: Name = "eleven_flash_v2"
    voice_id: str = "cjVigY5qzO86Huf0OWal"
    supported_voices: Annotated[list[SupportedVoice], Field(max_length=10)] = []
    expressive_mode: bool = True
    suggested_audio_tags: Annotated[list[SuggestedAudioTag], Field(max_length=20)] = []
    agent_output_audio_format: AudioFormat = "pcm_16000"
    optimize_streaming_latency: Integer = 3
    stability: Share = 0.5
    speed: Speed = 1.0
    similarity_boost: Share = 0.8
    clone_strength: float | None = None
    text_normalisation_type: Literal["system_prompt", "elevenlabs"] = "system_prompt"
    pronunciation_dictionary_locators: list[PronunciationDictionaryLocator] = []
    enable_phoneme_tags: bool = True
    audio_effects: AudioEffects | None = None
