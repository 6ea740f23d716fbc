"""Rules that hold between the fields of a definition (reference: Agents).

Some the reference applies without a word, so a client that reads back sees them; the others are refused.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from greenline.agents.config import ConversationConfig, Workflow
from greenline.agents.config.llm import BackupLlmOverride
from greenline.agents.config.privacy import PrivacyConfig
from greenline.agents.config.workflow import Edge
from greenline.agents.models import AgentDefinition, EnglishOnlyModel
from greenline.agents.speech import ENGLISH_ONLY
from greenline.agents.variables import check_system
from greenline.llm.cascade import CUSTOM


def apply_rules(definition: AgentDefinition) -> AgentDefinition:
    """The definition as it is stored.

    Raises `EnglishOnlyModel`, `UnknownVariable` or, with its place, pydantic's ``ValidationError``.
    """
    config, settings = definition.conversation_config, definition.platform_settings
    _check_own_model(config)
    _check_language(config)
    check_system(config)
    return definition.model_copy(
        update={
            "conversation_config": _with_fitting_recogniser(config),
            "platform_settings": settings.model_copy(update={"privacy": _consistent_privacy(settings.privacy)}),
            "workflow": _unconditional_last(definition.workflow),
        }
    )


def _check_own_model(config: ConversationConfig) -> None:
    """A turn that asks for an own model without an address would fail, each time."""
    chooser = next(_own_model_choosers(config), None)
    if chooser is None or config.agent.prompt.custom_llm is not None:
        return
    problem = PydanticCustomError(
        "missing",
        "Field required: {chooser} is custom-llm. Give the address of that model in custom_llm.url",
        {"chooser": chooser},
    )
    place = ("conversation_config", "agent", "prompt", "custom_llm")
    raise ValidationError.from_exception_data("AgentDefinition", [{"type": problem, "loc": place, "input": None}])


def _own_model_choosers(config: ConversationConfig) -> Iterator[str]:
    """The fields, below ``conversation_config``, that choose the own model."""
    prompt = config.agent.prompt
    if prompt.llm == CUSTOM:
        yield "agent.prompt.llm"
    backups = prompt.backup_llm_config
    if isinstance(backups, BackupLlmOverride) and CUSTOM in backups.order:
        yield "agent.prompt.backup_llm_config.order"
    for language, preset in config.language_presets.items():
        changed = preset.overrides.agent and preset.overrides.agent.prompt
        if changed and changed.llm == CUSTOM:
            yield f"language_presets.{language}.overrides.agent.prompt.llm"


def _check_language(config: ConversationConfig) -> None:
    if config.agent.language != "en" and config.tts.model_id in ENGLISH_ONLY:
        raise EnglishOnlyModel(
            f"The speech model {config.tts.model_id} speaks English only, and the agent's language is "
            f"{config.agent.language}: set tts.model_id to eleven_flash_v2_5 or another multilingual model.",
            param="conversation_config.tts.model_id",
        )


def _with_fitting_recogniser(config: ConversationConfig) -> ConversationConfig:
    """The default turn model works on the words of the streaming recogniser."""
    if config.turn.turn_model != "turn_v3" or config.asr.provider != "elevenlabs":
        return config
    return config.model_copy(update={"asr": config.asr.model_copy(update={"provider": "scribe_realtime"})})


def _consistent_privacy(privacy: PrivacyConfig) -> PrivacyConfig:
    """What is never stored needs no date of deletion, and without a date nothing is deleted."""
    if privacy.zero_retention_mode:
        privacy = privacy.model_copy(update={"record_voice": False, "retention_days": -1})
    if privacy.retention_days == -1:
        privacy = privacy.model_copy(update={"delete_transcript_and_pii": False, "delete_audio": False})
    return privacy


def _unconditional_last(workflow: Workflow) -> Workflow:
    """An unconditional edge would hide the edges after it."""
    nodes = {}
    for node_id, node in workflow.nodes.items():
        order = sorted(node.edge_order, key=lambda edge_id: _always(workflow.edges.get(edge_id), node_id))
        nodes[node_id] = node if order == node.edge_order else node.model_copy(update={"edge_order": order})
    return workflow.model_copy(update={"nodes": nodes})


def _always(edge: Edge | None, node_id: str) -> bool:
    if edge is None:
        return False
    condition = edge.forward_condition if edge.source == node_id else edge.backward_condition
    return condition is not None and condition.type == "unconditional"
