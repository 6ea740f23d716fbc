"""What the start of a conversation changes in an agent, and whether it may (reference: Overrides)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenline.agents.config import ConfigOverride, ConversationConfig
from greenline.agents.config.base import ConfigModel
from greenline.agents.config.limits import STORED
from greenline.agents.config.override import LanguagePreset
from greenline.agents.config.platform_settings import PlatformSettings
from greenline.agents.config.switches import OverrideSettings
from greenline.agents.config.widget import SOURCE as WIDGET
from greenline.agents.initiation import InitiationData
from greenline.agents.merge import merge
from greenline.agents.variables import check_given
from greenline.errors import BadRequest
from greenline.llm.cascade import CUSTOM

# Dropped without an error when forbidden: recognition works without them (reference: Overrides).
_DROPPED_SOFTLY = frozenset({("asr", "keywords")})

# What the official clients always say. What the agent is anyway, nobody has to allow.
_STATED = frozenset({("agent", "language"), ("conversation", "text_only")})

# Allowed by the switch of another field (SDK: PromptAgentApiModel.tool_ids_strict).
_COVERED_BY: dict[tuple[str, ...], str] = {("agent", "prompt", "tool_ids_strict"): "tool_ids"}


class OverrideNotAllowed(BadRequest):
    """The agent's settings do not allow this to be changed at the start of a conversation."""

    code = "override_error"

    def __init__(self, field: str) -> None:
        super().__init__(f"Override for field '{field}' is not allowed by config.", param=field)


class NoOwnModel(BadRequest):
    """The start of the conversation chooses custom-llm, but the agent has no custom_llm. Give the agent one."""

    code = "override_error"


def switches(settings: PlatformSettings, source: str) -> OverrideSettings:
    """What a client that names itself ``source`` may change.

    The official widget does, besides, what its own settings have it offer: to chat with an agent that speaks, and to
    choose a language.
    """
    if source != WIDGET:
        return settings.overrides
    offered = {
        "conversation": {"text_only": True} if settings.widget.supports_text_only else {},
        "agent": {"language": True} if settings.widget.language_selector else {},
    }
    own = merge(settings.overrides.model_dump(), {"conversation_config_override": offered})
    return OverrideSettings.model_validate(own)


def apply_overrides(
    config: ConversationConfig,
    override: ConfigOverride,
    settings: OverrideSettings,
    *,
    switched_to: str | None = None,
) -> ConversationConfig:
    """``config`` with the preset of the chosen language and then the changes of ``override``.

    Null and unknown fields change nothing, lists replace the agent's. A conversation that has ``switched_to``
    another language has its preset, and keeps the medium and the length with which it began. Raises
    `OverrideNotAllowed` for the first field whose switch is off.
    """
    given = override.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    allowed = _allowed(given, settings.conversation_config_override, config)
    # The SDK without audio writes text_only at the top: it is an offer, not an override that could be forbidden.
    if given.get("text_only") is True and settings.conversation_config_override.conversation.text_only:
        allowed = merge({"conversation": {"text_only": True}}, allowed)
    language = allowed.get("agent", {}).pop("language", None)
    began = _merged(in_language(config, language) if language is not None else config, allowed)
    if switched_to is None:
        return began
    now = _merged(in_language(config, switched_to), allowed)
    return now.model_copy(update={"conversation": began.conversation})


def in_language(config: ConversationConfig, language: str) -> ConversationConfig:
    """``config`` speaking ``language`` (a code such as ``de``), as the preset of that language says if there is one.

    A preset's own text wins over the stored translation of the agent's. The agent's own language is among its presets
    then: the conversation may come back to it.
    """
    preset = config.language_presets.get(language)
    own: dict[str, Any] = {config.agent.language: {"overrides": {}}} if config.language_presets else {}
    changes = {"agent": {"language": language}, "language_presets": own}
    return _merged(config, changes if preset is None else merge(_preset_changes(preset), changes))


def check_start(data: InitiationData, settings: OverrideSettings, config: ConversationConfig) -> None:
    """Refuse start data that the agent, whose own configuration is ``config``, or the reference does not allow.

    An override whose switch is off is refused by `apply_overrides`. Raises `OverrideNotAllowed` for a setting that no
    switch allows and for another field whose switch is off, `NoOwnModel`, and
    `greenline.agents.variables.ReservedVariable`.
    """
    check_given(data.dynamic_variables)
    _refuse_fixed(data.conversation_config_override, ConversationConfig)
    switched = {
        "custom_llm_extra_body": settings.custom_llm_extra_body,
        "starting_workflow_node_id": settings.enable_starting_workflow_node_id_from_client,
        "procedure_ids": settings.enable_procedure_ids_from_client,
        "start_procedure_ids": settings.enable_procedure_ids_from_client,
    }
    for field, is_allowed in switched.items():
        if getattr(data, field) and not is_allowed:
            raise OverrideNotAllowed(field)
    agent = data.conversation_config_override.agent
    chosen = agent.prompt.llm if agent and agent.prompt else None
    if chosen == CUSTOM and config.agent.prompt.custom_llm is None:
        raise NoOwnModel


def _refuse_fixed(given: ConfigModel, settings: type[ConfigModel]) -> None:
    """Refuse what is a setting of an agent and no override, such as ``turn.turn_timeout``: no switch allows it.

    What is no setting at all is passed over, as of a client that is newer than this server.
    """
    fields = settings.model_fields
    fixed = next(
        (name for name, value in (given.model_extra or {}).items() if name in fields and value is not None), None
    )
    if fixed is not None:
        raise OverrideNotAllowed(fixed)
    for name in type(given).model_fields:
        value, inner = getattr(given, name), fields[name].annotation
        if isinstance(value, ConfigModel) and isinstance(inner, type) and issubclass(inner, ConfigModel):
            _refuse_fixed(value, inner)


def _allowed(
    given: Mapping[str, Any], on: ConfigModel, config: ConfigModel, path: tuple[str, ...] = ()
) -> dict[str, Any]:
    """What of ``given`` is known to the switches ``on``, and allowed by them, or states what ``config`` is anyway."""
    allowed: dict[str, Any] = {}
    for name in type(on).model_fields:
        if name not in given:
            continue
        here, switch = (*path, name), getattr(on, name)
        if isinstance(switch, ConfigModel):
            allowed[name] = _allowed(given[name], switch, getattr(config, name), here)
        elif switch or getattr(on, _COVERED_BY.get(here, name)):
            allowed[name] = given[name]
        elif here in _STATED and given[name] == getattr(config, name):
            continue
        elif here not in _DROPPED_SOFTLY:
            raise OverrideNotAllowed(name)
    return {name: value for name, value in allowed.items() if value != {}}


def _preset_changes(preset: LanguagePreset) -> dict[str, Any]:
    translated: dict[str, Any] = {}
    if preset.first_message_translation is not None:
        translated["agent"] = {"first_message": preset.first_message_translation.text}
    turn: dict[str, Any] = {}
    if preset.soft_timeout_translation is not None:
        turn["soft_timeout_config"] = {"message": preset.soft_timeout_translation.text}
    if preset.noisy_environment_message_translation is not None:
        turn["noisy_environment_message"] = preset.noisy_environment_message_translation.text
    if turn:
        translated["turn"] = turn
    changes: dict[str, Any] = merge(translated, preset.overrides.model_dump(mode="json", exclude_none=True))
    return changes


def _merged(config: ConversationConfig, changes: Mapping[str, Any]) -> ConversationConfig:
    if not changes:
        return config
    return ConversationConfig.model_validate(merge(config.model_dump(mode="json"), changes), context=STORED)
