"""Which settings the start of a conversation may change: the tree of `ConfigOverride` with truth values."""

from __future__ import annotations

from greenline.agents.config.base import ConfigModel


class AsrSwitches(ConfigModel):
    """Switches of ``asr``."""

    keywords: bool = False


class SoftTimeoutSwitches(ConfigModel):
    """Switches of ``turn.soft_timeout_config``."""

    message: bool = False
    additional_soft_timeout_messages: bool = False


class TurnSwitches(ConfigModel):
    """Switches of ``turn``."""

    soft_timeout_config: SoftTimeoutSwitches = SoftTimeoutSwitches()
    noisy_environment_message: bool = False


class TtsSwitches(ConfigModel):
    """Switches of ``tts``."""

    model_id: bool = False
    voice_id: bool = False
    supported_voices: bool = False
    stability: bool = False
    speed: bool = False
    similarity_boost: bool = False
    clone_strength: bool = False
    pronunciation_dictionary_locators: bool = False


class ConversationSwitches(ConfigModel):
    """Switches of ``conversation``."""

    text_only: bool = False
    max_duration_seconds: bool = False
    client_events: bool = False


class PromptSwitches(ConfigModel):
    """Switches of ``agent.prompt``."""

    prompt: bool = False
    llm: bool = False
    reasoning_effort: bool = False
    tool_ids: bool = False
    tool_ids_strict: bool = False
    native_mcp_server_ids: bool = False
    knowledge_base: bool = False


class AgentSwitches(ConfigModel):
    """Switches of ``agent``."""

    first_message: bool = False
    language: bool = False
    max_conversation_duration_message: bool = False
    prompt: PromptSwitches = PromptSwitches()


class ConfigSwitches(ConfigModel):
    """Switches of ``conversation_config_override``."""

    asr: AsrSwitches = AsrSwitches()
    turn: TurnSwitches = TurnSwitches()
    tts: TtsSwitches = TtsSwitches()
    conversation: ConversationSwitches = ConversationSwitches()
    agent: AgentSwitches = AgentSwitches()


class OverrideSettings(ConfigModel):
    """The block ``platform_settings.overrides``: what clients and the start webhook may send."""

    conversation_config_override: ConfigSwitches = ConfigSwitches()
    custom_llm_extra_body: bool = False
    enable_conversation_initiation_client_data_from_webhook: bool = False
    enable_starting_workflow_node_id_from_client: bool = False
    enable_procedure_ids_from_client: bool = False
