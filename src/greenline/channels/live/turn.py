"""From an agent and a live conversation to a turn of the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from greenline.agents.speech import voice_of
from greenline.agents.variables import render_prompt
from greenline.channels.live.agent import Agent
from greenline.channels.live.client_tools import Ask, client_tools
from greenline.channels.live.effects import ClientCalls
from greenline.channels.live.keypad_tool import NAME, AskToPress, client_keypad
from greenline.channels.live.means import Means
from greenline.channels.live.rich_content import draws_components
from greenline.channels.live.voicemail_tool import voicemail_tool
from greenline.conversations.events import Event
from greenline.engine.files import Shown
from greenline.engine.guardrails.rules import guard_of
from greenline.engine.language import language_tools
from greenline.engine.prompt import mixture, spoken_style, style
from greenline.engine.request import model_request
from greenline.engine.system_variables import at_call
from greenline.engine.turn import Turn
from greenline.engine.variables import known
from greenline.llm.models import ModelRequest
from greenline.speech.errors import SpeechError
from greenline.speech.models import Speech, Voice
from greenline.speech.tags import takes_tags
from greenline.tools.manners import manners_of, words_before
from greenline.tools.mcp.toolbox import Offer
from greenline.tools.models import Tool
from greenline.tools.system import system_tools


@dataclass(frozen=True, slots=True)
class ClientSide:
    """What the client of a conversation carries out for its agent."""

    ask: Ask
    ask_to_press: AskToPress
    calls: ClientCalls


async def build_turn(
    means: Means,
    conversation_id: str,
    journal: tuple[Event, ...],
    files: Mapping[str, Shown],
    client: ClientSide,
    offer: Offer,
    switch: Callable[[str], None],
    *,
    waited: float,
) -> Turn:
    """The turn that answers the end of ``journal``; ``offer`` is what the agent's MCP servers have.

    ``waited``: seconds for which the person has waited in vain for the answers before it.

    ``switch`` changes the language of the agent and its voice: the model that began a turn goes on with it in the new
    one. Raises `greenline.agents.variables.MissingVariables` or `greenline.agents.lookup.ValueUnavailable`.
    """
    agent, settings, now = means.agent, means.settings, means.clock.now()
    guardrails = agent.version.platform_settings.guardrails
    variables = known(agent.started, journal)

    def offered() -> tuple[Tool, ...]:
        return _tools(agent, variables, journal, client, now, offer)

    def translate(language: str) -> Turn:
        switch(language)
        tools, prompt = offered(), render_prompt(agent.config, variables)
        return replace(turn, prompt=prompt, style=_style(agent, means.speech, tools), tools=tools)

    request = await _request(means, variables, waited)
    tools = offered()
    turn = Turn(
        conversation_id=conversation_id,
        started=agent.started,
        prompt=render_prompt(agent.config, variables),
        style=_style(agent, means.speech, tools),
        request=request,
        journal=journal,
        tools=tools,
        files=files,
        failure_message=settings.failure_message,
        max_rounds=settings.tool_rounds,
        guard=guard_of(guardrails, settings, streams=True),
        keeps_focus=guardrails.focus.is_enabled,
        translate=translate,
    )
    return turn


async def _request(means: Means, variables: Mapping[str, Any], waited: float) -> ModelRequest:
    """What the model is asked; who speaks with an agent waits less for it than who writes."""
    agent, settings = means.agent, means.settings
    request = await model_request(agent.config, replace(agent.lookup, variables=variables), agent.extra_body)
    if agent.text_only:
        return request
    start = start_left(settings.llm_start_seconds, waited, request.cascade.timeout)
    limits = replace(request.cascade, start=start, stall=settings.llm_stall_seconds)
    return replace(request, cascade=limits)


def start_left(seconds: float, waited: float, timeout: float) -> float:
    """What is left of ``seconds`` for the first word of a model when the person has ``waited`` for earlier answers.

    Who asks whether anybody is there must not begin to wait anew each time. A model that is well has half of
    ``timeout``, the time of one attempt, in any case: who was cut off by a person who only paused has done no wrong.
    """
    return max(seconds - waited, min(seconds, timeout / 2))


def _style(agent: Agent, speech: Speech, tools: Sequence[Tool]) -> str:
    config, source = agent.config, agent.started.source
    mixed = mixture(config.agent.language, hinglish=config.agent.hinglish_mode)
    if agent.text_only:
        behaviour = {name: item.model_dump() for name, item in config.agent.text_behavior_overrides.items()}
        return f"{style(source, behaviour)} {mixed}".strip()
    tts = config.tts
    acts = tts.expressive_mode and _takes_tags(voice_of(config), speech)
    spoken = spoken_style(
        {voice.label: voice.description for voice in tts.supported_voices},
        in_words=tts.text_normalisation_type == "system_prompt",
        tags={suggested.tag: suggested.description for suggested in tts.suggested_audio_tags} if acts else None,
    )
    built_in = config.agent.prompt.built_in_tools.enabled()
    words = words_before({tool.spec.name: manners_of(tool, built_in) for tool in tools})
    return " ".join(line for line in (spoken, mixed, words) if line)


def _takes_tags(voice: Voice, speech: Speech) -> bool:
    try:
        return takes_tags(speech.synthesiser(voice).name)
    except SpeechError:  # whoever speaks in its place does not
        return False


def _tools(
    agent: Agent,
    variables: Mapping[str, Any],
    journal: tuple[Event, ...],
    client: ClientSide,
    now: datetime,
    offer: Offer,
) -> tuple[Tool, ...]:
    prompt = agent.config.agent.prompt
    present = at_call(variables, journal, now)
    own: tuple[Tool, ...] = (
        *system_tools(prompt.built_in_tools.model_dump(), interactive=draws_components(agent.started, agent.client)),
        *language_tools(agent.config, journal, variables),
        *(client_tools(agent.config, present, client.ask, client.calls) if agent.has_client else ()),
        *_keypad(agent, client),
        *(voicemail_tool(agent.config, present, agent.met_voicemail) if agent.met_voicemail else ()),
        *agent.tools,
    )
    found: tuple[Tool, ...] = (*own, *offer.named((tool.spec.name for tool in own), present))
    return agent.mocks.over(found) if agent.mocks else found


def _keypad(agent: Agent, client: ClientSide) -> tuple[Tool, ...]:
    """That of the client; a telephone has its own."""
    if agent.text_only or not agent.has_client or any(tool.spec.name == NAME for tool in agent.tools):
        return ()
    return client_keypad(agent.config, client.ask_to_press)
