"""The root of what an agent is in a conversation."""

from __future__ import annotations

from greenline.agents.config.agent import AgentConfig
from greenline.agents.config.asr import AsrConfig
from greenline.agents.config.base import ConfigModel, Map
from greenline.agents.config.conversation import ConversationSettings, VadConfig
from greenline.agents.config.override import LanguagePreset
from greenline.agents.config.tts import TtsConfig
from greenline.agents.config.turn import TurnConfig


class ConversationConfig(ConfigModel):
    """The reference's ``conversation_config``, every default filled in; presets have a language code as key."""

    asr: AsrConfig = AsrConfig()
    turn: TurnConfig = TurnConfig()
    tts: TtsConfig = TtsConfig()
    conversation: ConversationSettings = ConversationSettings()
    language_presets: Map[LanguagePreset] = {}
    vad: VadConfig = VadConfig()
    agent: AgentConfig = AgentConfig()
