"""From an agent and a conversation on WhatsApp to a turn of the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from greenline.agents.config import ConversationConfig
from greenline.agents.config.guardrails import Guardrails
from greenline.agents.config.limits import STORED
from greenline.agents.initiation import InitiationData
from greenline.agents.models import AgentVersion
from greenline.agents.overrides import apply_overrides
from greenline.agents.variables import render_prompt
from greenline.conversations.events import Event, Started
from greenline.engine.files import Shown
from greenline.engine.guardrails.rules import guard_of
from greenline.engine.language import language_tools
from greenline.engine.prompt import mixture, note_style, style
from greenline.engine.turn import Turn
from greenline.engine.variables import known
from greenline.llm.models import ModelRequest
from greenline.settings import Settings
from greenline.tools.mcp.toolbox import Offer
from greenline.tools.models import Tool
from greenline.tools.system import system_tools

SOURCE: Final = "whatsapp"


def configured(
    version: AgentVersion, initiation: Mapping[str, Any], switched_to: str | None = None
) -> ConversationConfig:
    """The agent's configuration with the overrides of the conversation's start data, in the language that it has."""
    data = InitiationData.model_validate(initiation, context=STORED)
    return apply_overrides(
        version.conversation_config,
        data.conversation_config_override,
        version.platform_settings.overrides,
        switched_to=switched_to,
    )


def parties(phone_number_id: str, user_id: str, *, inbound: bool) -> dict[str, str]:
    """Who writes or calls whom, as dynamic variables: ids of Meta's (reference: System variables)."""
    caller, called = (user_id, phone_number_id) if inbound else (phone_number_id, user_id)
    return {"system__caller_id": caller, "system__called_number": called}


def build_turn(
    *,
    conversation_id: str,
    config: ConversationConfig,
    started: Started,
    request: ModelRequest,
    journal: tuple[Event, ...],
    files: Mapping[str, Shown],
    settings: Settings,
    guardrails: Guardrails,
    offer: Offer,
    aloud: bool = False,
    translate: Callable[[str], Turn] | None = None,
) -> Turn:
    """The turn that answers the end of ``journal``, ``aloud`` if its answer is to be a voice note.

    Raises `greenline.agents.variables.MissingVariables` or `greenline.agents.variables.SecretVariable`.
    """
    agent, variables = config.agent, known(started, journal)
    labels = {voice.label: voice.description for voice in config.tts.supported_voices}
    own: tuple[Tool, ...] = (
        *system_tools(agent.prompt.built_in_tools.model_dump(), interactive=True),
        *language_tools(config, journal, variables),
    )
    behaviour = {name: override.model_dump() for name, override in agent.text_behavior_overrides.items()}
    manner = (
        note_style(labels, written_too=settings.voice_note_text != "never") if aloud else style(SOURCE, behaviour)
    )
    mixed = mixture(agent.language, hinglish=agent.hinglish_mode)
    return Turn(
        conversation_id=conversation_id,
        started=started,
        prompt=render_prompt(config, variables),
        style=f"{manner} {mixed}" if mixed else manner,
        request=request,
        journal=journal,
        tools=(*own, *offer.named((tool.spec.name for tool in own), variables)),
        files=files,
        failure_message=settings.failure_message,
        max_rounds=settings.tool_rounds,
        guard=guard_of(guardrails, settings, streams=False),
        keeps_focus=guardrails.focus.is_enabled,
        translate=translate,
    )
