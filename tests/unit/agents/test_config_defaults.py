"""Every default of the reference's published description (Appendix A), and those that the SDK's newer fields need."""

from __future__ import annotations

from typing import Any

import pytest

from greenline.agents.config import ConversationConfig, PlatformSettings, Workflow
from greenline.agents.config.access import AuthSettings, CallLimits, QueueingConfig
from greenline.agents.config.agent import AgentConfig
from greenline.agents.config.asr import AsrConfig
from greenline.agents.config.base import ConfigModel
from greenline.agents.config.conversation import BackgroundSoundConfig, ConversationSettings, FileInputConfig
from greenline.agents.config.evaluation import AnalysisProperty, EvaluationCriterion
from greenline.agents.config.guardrails import (
    ContentThreshold,
    CustomGuardrail,
    Guardrails,
    ModerationGuardrail,
    ModerationThreshold,
)
from greenline.agents.config.knowledge import KnowledgeBaseLocator, RagConfig
from greenline.agents.config.llm import CustomLlm
from greenline.agents.config.privacy import PrivacyConfig
from greenline.agents.config.prompt import PromptConfig
from greenline.agents.config.switches import OverrideSettings
from greenline.agents.config.system_tools import AgentTransfer, LanguageDetectionParams, TransferToNumberParams
from greenline.agents.config.tool_common import DynamicVariableAssignment
from greenline.agents.config.tools import ClientTool, ResponseFilter, WebhookApi, WebhookTool
from greenline.agents.config.tts import TtsConfig
from greenline.agents.config.turn import SoftTimeoutConfig, TurnConfig
from greenline.agents.config.widget import OrbAvatar, WidgetConfig
from greenline.agents.config.workflow import OverrideAgentNode, StandaloneAgentNode
from greenline.agents.config.workspace_overrides import Webhooks

_TOOL = {
    "response_timeout_secs": 20,
    "disable_interruptions": False,
    "interruption_mode": "allow",
    "force_pre_tool_speech": False,
    "pre_tool_speech": "auto",
    "tool_call_sound_behavior": "auto",
    "tool_error_handling_mode": "auto",
    "execution_mode": "immediate",
}

DEFAULTS: list[tuple[type[ConfigModel], dict[str, Any], dict[str, Any]]] = [
    (
        AsrConfig,
        {},
        {"quality": "high", "provider": "scribe_realtime", "user_input_audio_format": "pcm_16000", "keywords": []},
    ),
    (
        TurnConfig,
        {},
        {
            "turn_timeout": 7.0,
            "initial_wait_time": None,
            "silence_end_call_timeout": -1,
            "turn_eagerness": "normal",
            "spelling_patience": "auto",
            "speculative_turn": False,
            "retranscribe_on_turn_timeout": False,
            "turn_model": "turn_v3",
            "merge_with_default_ignore_terms": False,
            "transcribe_on_disabled_interruptions": False,
        },
    ),
    (
        SoftTimeoutConfig,
        {},
        {
            "timeout_seconds": -1.0,
            "message": "Hhmmmm...yeah.",
            "use_llm_generated_message": False,
            "randomize_fillers": False,
            "max_soft_timeouts_per_generation": 1,
            "disable_until_first_user_message": False,
        },
    ),
    (
        TtsConfig,
        {},
        {
            "model_id": "eleven_flash_v2",
            "voice_id": "cjVigY5qzO86Huf0OWal",
            "expressive_mode": True,
            "agent_output_audio_format": "pcm_16000",
            "optimize_streaming_latency": 3,
            "stability": 0.5,
            "speed": 1,
            "similarity_boost": 0.8,
            "text_normalisation_type": "system_prompt",
            "enable_phoneme_tags": True,
        },
    ),
    (
        ConversationSettings,
        {},
        {
            "text_only": False,
            "max_duration_seconds": 600,
            "monitoring_enabled": False,
            "source_attribution": False,
            "client_events": [
                "audio",
                "interruption",
                "agent_response",
                "user_transcript",
                "tentative_user_transcript",
                "conversation_initiation_metadata",
                "ping",
            ],
        },
    ),
    (FileInputConfig, {}, {"enabled": True, "max_files_in_memory": 10, "max_files_per_conversation": 10}),
    (BackgroundSoundConfig, {}, {"source_type": "preset", "volume": 0.15, "crossfade_loop": True}),
    (
        AgentConfig,
        {},
        {
            "first_message": "",
            "language": "en",
            "hinglish_mode": False,
            "disable_first_message_interruptions": False,
            "max_conversation_duration_message": "",
            "dynamic_variables": {"dynamic_variable_placeholders": {}},
        },
    ),
    (
        PromptConfig,
        {},
        {
            "prompt": "",
            "llm": "gemini-2.5-flash",
            "enable_reasoning_summary": False,
            "temperature": 0.0,
            "max_tokens": -1,
            "ignore_default_personality": True,
            "backup_llm_config": {"preference": "default"},
            "cascade_timeout_seconds": 4,
            "tool_ids": [],
            "knowledge_base": [],
            "custom_llm": None,
        },
    ),
    (
        RagConfig,
        {},
        {
            "enabled": False,
            "embedding_model": "e5_mistral_7b_instruct",
            "max_vector_distance": 0.6,
            "max_documents_length": 50000,
            "max_retrieved_rag_chunks_count": 20,
            "num_candidates": None,
        },
    ),
    (KnowledgeBaseLocator, {"type": "file", "name": "n", "id": "i"}, {"usage_mode": "auto"}),
    (CustomLlm, {"url": "https://llm.example"}, {"api_type": "chat_completions", "api_key": None}),
    (WebhookApi, {"url": "https://x.example"}, {"method": "GET", "content_type": "application/json"}),
    (ResponseFilter, {}, {"mode": "all", "content_type": "application/json"}),
    (
        WebhookTool,
        {"type": "webhook", "name": "t", "description": "d", "api_schema": {"url": "https://x.example"}},
        _TOOL,
    ),
    (ClientTool, {"type": "client", "name": "t", "description": "d"}, {**_TOOL, "expects_response": False}),
    (
        DynamicVariableAssignment,
        {"dynamic_variable": "v", "value_path": "p"},
        {"source": "response", "sanitize": False, "preserve_native_type": False},
    ),
    (
        AgentTransfer,
        {"condition": "c"},
        {
            "delay_ms": 0,
            "enable_transferred_agent_first_message": False,
            "is_workflow_node_transfer": False,
            "preserve_client_tts_overrides": False,
        },
    ),
    (LanguageDetectionParams, {"system_tool_type": "language_detection"}, {"only_at_conversation_start": False}),
    (
        TransferToNumberParams,
        {"system_tool_type": "transfer_to_number", "transfers": []},
        {"enable_client_message": True},
    ),
    (
        PlatformSettings,
        {},
        {
            "archived": False,
            "trust_context": "unknown",
            "analysis_llm": "gemini-2.5-flash",
            "evaluation": {"criteria": []},
            "data_collection": {},
            "testing": {"attached_tests": []},
            "analysis_items": None,
        },
    ),
    (CallLimits, {}, {"agent_concurrency_limit": -1, "daily_limit": 100000, "bursting_enabled": True}),
    (QueueingConfig, {}, {"enabled": True, "wait_timeout_seconds": 180, "hold_audio": None}),
    (AuthSettings, {}, {"enable_auth": False, "allowlist": [], "require_origin_header": False}),
    (
        PrivacyConfig,
        {},
        {
            "record_voice": True,
            "retention_days": -1,
            "delete_transcript_and_pii": False,
            "delete_audio": False,
            "apply_to_existing_conversations": False,
            "zero_retention_mode": False,
            "conversation_history_redaction": {"enabled": False, "entities": [], "excluded_data_collection_ids": []},
        },
    ),
    (
        EvaluationCriterion,
        {"id": "i", "name": "n", "conversation_goal_prompt": "p"},
        {
            "type": "prompt",
            "use_knowledge_base": False,
            "scope": "conversation",
            "scoring_mode": "binary",
            "max_score": 100,
        },
    ),
    (AnalysisProperty, {"type": "string"}, {"is_system_provided": False, "is_omitted": False}),
    (ContentThreshold, {}, {"is_enabled": False, "threshold": 0.3}),
    (
        CustomGuardrail,
        {"name": "n", "prompt": "p"},
        {
            "is_enabled": False,
            "execution_mode": "streaming",
            "model": "gemini-3.1-flash-lite",
            "history_message_count": 0,
            "history_include_tool_calls": False,
            "evaluate_full_response_only": False,
        },
    ),
    (
        Guardrails,
        {},
        {"version": "1", "focus": {"is_enabled": False}, "prompt_injection": {"is_enabled": False}},
    ),
    (ModerationThreshold, {}, {"is_enabled": False, "threshold": 0.3}),
    (
        ModerationGuardrail,
        {},
        {"execution_mode": "streaming"},
    ),
    (
        OverrideSettings,
        {},
        {
            "custom_llm_extra_body": False,
            "enable_conversation_initiation_client_data_from_webhook": False,
            "enable_starting_workflow_node_id_from_client": False,
            "enable_procedure_ids_from_client": False,
        },
    ),
    (Webhooks, {}, {"transcript_format": "json"}),
    (OrbAvatar, {}, {"color_1": "#2792dc", "color_2": "#9ce6e6"}),
    (
        WidgetConfig,
        {},
        {
            "variant": "full",
            "placement": "bottom-right",
            "expandable": "never",
            "feedback_mode": "none",
            "bg_color": "#ffffff",
            "text_color": "#000000",
            "btn_color": "#000000",
            "btn_text_color": "#ffffff",
            "border_color": "#e1e1e1",
            "focus_color": "#000000",
            "shareable_page_show_terms": True,
            "show_avatar_when_collapsed": False,
            "disable_banner": False,
            "markdown_link_include_www": True,
            "markdown_link_allow_http": True,
            "mic_muting_enabled": True,
            "transcript_enabled": True,
            "text_input_enabled": True,
            "conversation_mode_toggle_enabled": False,
            "default_expanded": False,
            "always_expanded": False,
            "dismissible": False,
            "show_agent_status": False,
            "show_conversation_id": True,
            "strip_audio_tags": True,
            "show_resize_button": True,
            "language_selector": False,
            "supports_text_only": True,
        },
    ),
    (
        Workflow,
        {},
        {
            "prevent_subagent_loops": False,
            "edges": {},
            "nodes": {"start_node": {"type": "start", "position": {"x": 0, "y": 0}, "edge_order": []}},
        },
    ),
    (OverrideAgentNode, {"type": "override_agent"}, {"entry_behavior": "auto", "conversation_config": {}}),
    (
        StandaloneAgentNode,
        {"type": "standalone_agent"},
        {"delay_ms": 0, "enable_transferred_agent_first_message": False, "preserve_client_tts_overrides": False},
    ),
]


@pytest.mark.parametrize(("model", "given", "expected"), DEFAULTS, ids=lambda value: getattr(value, "__name__", ""))
def test_defaults_are_those_of_the_reference(
    model: type[ConfigModel], given: dict[str, Any], expected: dict[str, Any]
) -> None:
    dumped = model.model_validate(given).model_dump(mode="json")

    assert {name: dumped[name] for name in expected} == expected


def test_every_override_is_switched_off() -> None:
    def leaves(value: Any) -> list[Any]:
        return [leaf for child in value.values() for leaf in leaves(child)] if isinstance(value, dict) else [value]

    switches = OverrideSettings().conversation_config_override.model_dump()

    assert set(leaves(switches)) == {False}
    assert len(leaves(switches)) == 25


def test_an_empty_configuration_reads_back_complete() -> None:
    config = ConversationConfig.model_validate({"agent": {"prompt": {"prompt": "Hi"}}}).model_dump(mode="json")

    assert config["agent"]["prompt"]["prompt"] == "Hi"
    assert config["tts"]["voice_id"]
    assert config["agent"]["prompt"]["built_in_tools"]["end_call"] is None
