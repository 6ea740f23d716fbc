"""What a live conversation begins with: what is known of it, the agent made of that, and the event that opens it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from greenline.agents.config import ConversationConfig
from greenline.agents.initiation import InitiationData, SourceInfo
from greenline.agents.lookup import Lookup, environment_variables, seal_secrets
from greenline.agents.models import AgentVersion
from greenline.agents.overrides import apply_overrides, check_start, switches
from greenline.agents.variables import check_supplied, render, render_prompt, shown
from greenline.channels.live.agent import Agent
from greenline.channels.live.mocks import Mocks
from greenline.channels.live.patterns import Patterns
from greenline.channels.live.voicemail_tool import Tell
from greenline.conversations.beginning import known_from_start
from greenline.conversations.events import Event, Remembered, Resumed, Started
from greenline.conversations.projection import Projection
from greenline.engine.system_variables import at_pick_up, at_start
from greenline.store.pool import Pool
from greenline.store.vault import Vault
from greenline.tools.models import Tool

Memory: TypeAlias = tuple[str | None, tuple[Remembered, ...]]
"""The summary of the thread so far, and its last messages."""


async def no_memory() -> Memory:
    """The memory of a conversation that belongs to no thread."""
    return None, ()


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is known when a live conversation begins. ``data`` is its start data, checked against the agent here.

    A conversation that is there already, such as that of a call of the business, is ``projection`` with ``events``,
    and goes on when the person picks up. ``recall`` is asked for what is known of the thread at that moment.
    """

    version: AgentVersion
    workspace_id: str
    source: str
    method: str
    data: InitiationData = field(default_factory=InitiationData, repr=False)
    environment: str = "production"
    conversation_id: str | None = None
    direction: str | None = None
    user_id: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict, repr=False)
    text_only: bool | None = None
    recall: Callable[[], Awaitable[Memory]] = field(default=no_memory, repr=False)
    tools: tuple[Tool, ...] = ()
    has_client: bool = True
    """Whether a client follows it, which can show something and answer: a telephone can't."""
    met_voicemail: Tell | None = field(default=None, repr=False)
    """Told when a machine has answered, where one can: the agent has a tool for that then."""
    chat_id: str | None = None
    phone_number_id: str | None = None
    queued_seconds: float | None = None
    """How long the person waited for it in a queue."""
    knowledge: tuple[str, ...] = field(default=(), repr=False)
    """Texts that the agent is to know besides its prompt."""
    notes: tuple[Event, ...] = ()
    """What happened before it began, as its journal is to tell."""
    projection: Projection | None = None
    events: tuple[Event, ...] = ()


class Preparation:
    """Makes agents of what is known."""

    def __init__(self, pool: Pool, vault: Vault) -> None:
        self._pool = pool
        self._vault = vault
        self._patterns = Patterns()

    async def agent(
        self, beginning: Beginning, conversation_id: str, now: datetime
    ) -> tuple[Agent, Started | Resumed]:
        """Who speaks, and the event with which the conversation begins or goes on.

        Raises `greenline.agents.overrides.OverrideNotAllowed`, `greenline.agents.variables.MissingVariables` and
        other refusals of start data.
        """
        version, data = beginning.version, beginning.data
        overrides = switches(version.platform_settings, beginning.source)
        check_start(data, overrides, version.conversation_config)
        config = apply_overrides(version.conversation_config, data.conversation_config_override, overrides)
        check_supplied(config, data.dynamic_variables)
        opening = await self._opening(beginning, config, conversation_id, now)
        started = known_from_start((*beginning.events, opening))
        assert started is not None  # noqa: S101 - it opens with one, unless there is one already
        # What it lacks now nothing can bring later: no turn would ever come to an answer.
        render_prompt(config, started.variables)
        lookup = Lookup(
            pool=self._pool,
            vault=self._vault,
            workspace_id=beginning.workspace_id,
            conversation_id=conversation_id,
            variables=started.variables,
            sealed=started.sealed_variables,
            environment=started.environment,
        )
        agent = Agent(
            version,
            config,
            data.conversation_config_override,
            started,
            lookup,
            data.custom_llm_extra_body,
            beginning.tools,
            Mocks(data.tool_mock_config, self._patterns) if data.tool_mock_config else None,
            render(config.agent.first_message, started.variables, "first message").strip(),
            beginning.has_client,
            beginning.met_voicemail,
            data.source_info or SourceInfo(),
        )
        return agent, opening

    async def _opening(
        self, beginning: Beginning, config: ConversationConfig, conversation_id: str, now: datetime
    ) -> Started | Resumed:
        version, data = beginning.version, beginning.data
        summary, remembered = await beginning.recall()
        begun = known_from_start(beginning.events)
        if begun is not None:
            return Resumed(variables=at_pick_up(begun.variables, now), summary=summary, remembered=remembered)
        environment = await environment_variables(
            self._pool, self._vault, beginning.workspace_id, beginning.environment, config
        )
        text_only = config.conversation.text_only if beginning.text_only is None else beginning.text_only
        return Started(
            agent_id=version.agent_id,
            branch_id=version.branch_id,
            version_id=version.id,
            environment=beginning.environment,
            source=beginning.source,
            direction=beginning.direction,
            text_only=text_only,
            queued_seconds=beginning.queued_seconds,
            user_id=beginning.user_id or data.user_id,
            variables={
                **shown(data.dynamic_variables),
                **environment,
                **at_start(version, config, conversation_id=conversation_id, text_only=text_only, now=now),
                **beginning.variables,
            },
            sealed_variables=seal_secrets(self._vault, conversation_id, data.dynamic_variables),
            override=data.conversation_config_override.model_dump(mode="json", exclude_unset=True),
            summary=summary,
            remembered=remembered,
            knowledge=beginning.knowledge,
        )


def new_projection(beginning: Beginning, agent: Agent, conversation_id: str, now: datetime) -> Projection:
    """The row of a conversation that begins."""
    version = beginning.version
    return Projection(
        id=conversation_id,
        workspace_id=beginning.workspace_id,
        agent_id=version.agent_id,
        branch_id=version.branch_id,
        version_id=version.id,
        source=beginning.source,
        started_at=now,
        accepted_at=now,
        text_only=agent.text_only,
        environment=beginning.environment,
        direction=beginning.direction,
        user_id=agent.started.user_id,
        chat_id=beginning.chat_id,
        phone_number_id=beginning.phone_number_id,
        authorization_method=beginning.method,
        initiation=beginning.data.stored(),
        main_language=agent.config.agent.language,
        status="in-progress",
    )
