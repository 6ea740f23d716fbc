"""The part of a configuration that a conversation may change at its start, and an agent per language.

Null is "not changed". Which of it a client may change is in `greenline.agents.config.switches`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from greenline.agents.config.base import ConfigModel, Name
from greenline.agents.config.conversation import Duration
from greenline.agents.config.knowledge import KnowledgeBaseLocator
from greenline.agents.config.prompt import ReasoningEffort
from greenline.agents.config.tts import PronunciationDictionaryLocator, Share, Speed, SupportedVoice
from greenline.agents.config.turn import FillerMessage


class AsrOverride(ConfigModel):
    """Changes of ``asr``."""

    keywords: Annotated[list[str], Field(max_length=50)] | None = None


class SoftTimeoutOverride(ConfigModel):
    """Changes of ``turn.soft_timeout_config``."""

    message: FillerMessage | None = None
    additional_soft_timeout_messages: Annotated[list[str], Field(max_length=7)] | None = None


class TurnOverride(ConfigModel):
    """Changes of ``turn``."""

    soft_timeout_config: SoftTimeoutOverride | None = None
    noisy_environment_message: str | None = None


class TtsOverride(ConfigModel):
    """Changes of ``tts``."""

    model_id: Name | None = None
    voice_id: str | None = None
    supported_voices: Annotated[list[SupportedVoice], Field(max_length=10)] | None = None
    stability: Share | None = None
    speed: Speed | None = None
    similarity_boost: Share | None = None
    clone_strength: float | None = None
    pronunciation_dictionary_locators: list[PronunciationDictionaryLocator] | None = None


class ConversationOverride(ConfigModel):
    """Changes of ``conversation``."""

    text_only: bool | None = None
    max_duration_seconds: Duration | None = None
    client_events: list[Name] | None = None


class PromptOverride(ConfigModel):
    """Changes of ``agent.prompt``; lists replace the agent's own."""

    prompt: str | None = None
    llm: Name | None = None
    reasoning_effort: ReasoningEffort | None = None
    tool_ids: list[str] | None = None
    tool_ids_strict: bool | None = None
    native_mcp_server_ids: list[str] | None = None
    knowledge_base: list[KnowledgeBaseLocator] | None = None


class AgentOverride(ConfigModel):
    """Changes of ``agent``."""

    first_message: str | None = None
    language: str | None = None
    max_conversation_duration_message: str | None = None
    prompt: PromptOverride | None = None


class ConfigOverride(ConfigModel):
    """Changes of a `ConversationConfig`, in its own tree."""

    asr: AsrOverride | None = None
    turn: TurnOverride | None = None
    tts: TtsOverride | None = None
    conversation: ConversationOverride | None = None
    agent: AgentOverride | None = None


class Translation(ConfigModel):
    """A translated text and the hash of the text that it was made from."""

    source_hash: str
    text: str


class LanguagePreset(ConfigModel):
    """What changes when the conversation is in another language."""

    overrides: ConfigOverride
    first_message_translation: Translation | None = None
    soft_timeout_translation: Translation | None = None
    noisy_environment_message_translation: Translation | None = None
