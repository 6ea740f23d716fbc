"""In which language a conversation goes on, and to which it may switch (reference: Language detection)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from greenline.agents.config import ConversationConfig
from greenline.agents.config.override import LanguagePreset
from greenline.agents.config.system_tools import LanguageDetectionParams
from greenline.agents.variables import placeholders
from greenline.conversations.events import AgentMessage, Event, ToolReturned, UserMessage
from greenline.tools.language import DESCRIPTION, LanguageDetection

EARLY_TURNS: Final = 2
"""Turns of the person in which a conversation has to switch, if it may do so at its start only (reference)."""


def switched_to(journal: Iterable[Event]) -> str | None:
    """The language to which the conversation was switched last; None when it never was."""
    found = [event.language for event in journal if isinstance(event, ToolReturned) and event.language]
    return found[-1] if found else None


def language_tools(
    config: ConversationConfig, journal: Sequence[Event], variables: Mapping[str, Any]
) -> tuple[LanguageDetection, ...]:
    """The tool, where the agent has it and another language. ``config`` is as the conversation has it now.

    A language whose prompt needs other ``variables`` than the conversation has is none to switch to.
    """
    tool, present = config.agent.prompt.built_in_tools.language_detection, config.agent.language
    ready = (code for code, preset in config.language_presets.items() if _is_ready(preset, variables))
    languages = tuple(dict.fromkeys((present, *ready)))
    if tool is None or len(languages) < 2:
        return ()
    only_early = isinstance(tool.params, LanguageDetectionParams) and tool.params.only_at_conversation_start
    too_late = only_early and switched_to(journal) is None and _turns(journal) > EARLY_TURNS
    return (LanguageDetection(languages, present, tool.description or DESCRIPTION, too_late),)


def _is_ready(preset: LanguagePreset, variables: Mapping[str, Any]) -> bool:
    agent = preset.overrides.agent
    prompt = agent.prompt.prompt if agent is not None and agent.prompt is not None else None
    return all(variables.get(name) is not None for name in placeholders(prompt or ""))


def _turns(journal: Iterable[Event]) -> int:
    """How often the person has spoken; what they said one after the other is one turn."""
    turns, speaks = 0, False
    for event in journal:
        if isinstance(event, UserMessage) and not event.is_sign:
            turns += not speaks
            speaks = True
        elif isinstance(event, AgentMessage) and event.text:
            speaks = False
    return turns
