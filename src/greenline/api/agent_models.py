"""Requests and answers of the agents API, in the shapes of the reference."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, Field, field_validator

from greenline.agents.config import ConversationConfig, PlatformSettings, Workflow
from greenline.agents.config.base import ConfigModel
from greenline.agents.models import MAX_NAME, Agent, AgentSummary
from greenline.api.access_info import ADMIN, AccessInfo

AgentName: TypeAlias = Annotated[str, Field(max_length=MAX_NAME)]


class CreateAgent(ConfigModel):
    """A new agent; everything but the conversation configuration has a default."""

    conversation_config: ConversationConfig
    platform_settings: PlatformSettings = PlatformSettings()
    workflow: Workflow = Workflow()
    name: AgentName | None = None
    tags: list[str] = []  # noqa: RUF012 - pydantic copies the default of a field

    @field_validator("platform_settings")
    @classmethod
    def _without_hold_audio(cls, given: PlatformSettings) -> PlatformSettings:
        queueing = given.queueing_config.model_copy(update={"hold_audio": None})
        return given.model_copy(update={"queueing_config": queueing})


class UpdateAgent(BaseModel):
    """Changes of an agent; what is null or absent stays.

    ``conversation_config`` and ``platform_settings`` are parts, merged into what is stored: objects are merged,
    lists replaced, and null puts a field back to its default or takes an entry out of a map. ``workflow``
    replaces the whole. ``queueing_config.hold_audio`` is set by upload alone: here it is passed over.
    """

    conversation_config: dict[str, Any] | None = None
    platform_settings: dict[str, Any] | None = None
    workflow: dict[str, Any] | None = None
    name: AgentName | None = None
    tags: list[str] | None = None
    version_description: str | None = None

    @field_validator("platform_settings")
    @classmethod
    def _without_hold_audio(cls, given: dict[str, Any] | None) -> dict[str, Any] | None:
        queueing = given.get("queueing_config") if given else None
        if not given or not isinstance(queueing, dict) or "hold_audio" not in queueing:
            return given
        return {**given, "queueing_config": {name: queueing[name] for name in queueing if name != "hold_audio"}}


class DuplicateAgent(BaseModel):
    """The name of the copy; without one it is made from the agent's."""

    name: AgentName | None = None


class CreatedAgent(BaseModel):
    """The id of the new agent."""

    agent_id: str


class AgentMetadata(BaseModel):
    """When the agent was made and last changed."""

    created_at_unix_secs: int
    updated_at_unix_secs: int


class Safety(BaseModel):
    """Blocks by the provider of the service; a self-hosted one has none."""

    is_blocked_ivc: bool = False
    is_blocked_non_ivc: bool = False
    ignore_safety_evaluation: bool = False


class PlatformSettingsAnswer(PlatformSettings):
    """Platform settings as they are read."""

    safety: Safety = Safety()


class AgentAnswer(BaseModel):
    """An agent at one version (SDK: GetAgentResponseModel)."""

    agent_id: str
    name: str
    conversation_config: ConversationConfig
    metadata: AgentMetadata
    platform_settings: PlatformSettingsAnswer
    phone_numbers: list[dict[str, Any]]
    whatsapp_accounts: list[dict[str, Any]]
    workflow: Workflow
    access_info: AccessInfo
    tags: list[str]
    version_id: str
    branch_id: str
    main_branch_id: str
    procedures: dict[str, dict[str, Any]]
    default_hold_audio_url: str | None


class AgentSummaryAnswer(BaseModel):
    """A line of the list (SDK: AgentSummaryResponseModel)."""

    agent_id: str
    name: str
    voice_id: str
    tags: list[str]
    created_at_unix_secs: int
    updated_at_unix_secs: int
    access_info: AccessInfo
    last_call_time_unix_secs: int | None
    archived: bool


class AgentPage(BaseModel):
    """A page of the list."""

    agents: list[AgentSummaryAnswer]
    next_cursor: str | None
    has_more: bool


class SummaryFound(BaseModel):
    """The part of a batch answer for an id that is there."""

    status: Literal["success"] = "success"
    data: AgentSummaryAnswer


class SummaryMissing(BaseModel):
    """The part of a batch answer for an id that is not there."""

    status: Literal["failure"] = "failure"
    error_code: int
    error_status: str
    error_message: str


def agent_answer(agent: Agent, whatsapp_accounts: list[dict[str, Any]]) -> AgentAnswer:
    """The answer for an agent; telephone numbers other than WhatsApp's and procedures are not served here."""
    version = agent.version
    return AgentAnswer(
        agent_id=version.agent_id,
        name=version.agent_name,
        conversation_config=version.conversation_config,
        metadata=AgentMetadata(
            created_at_unix_secs=_seconds(agent.created_at), updated_at_unix_secs=_seconds(agent.updated_at)
        ),
        # A client that sends back what it read sends a safety block too, which is kept as an unknown field.
        platform_settings=PlatformSettingsAnswer.model_construct(
            **{**dict(version.platform_settings), "safety": Safety()}
        ),
        phone_numbers=[],
        whatsapp_accounts=whatsapp_accounts,
        workflow=version.workflow,
        access_info=ADMIN,
        tags=list(agent.tags),
        version_id=version.id,
        branch_id=version.branch_id,
        main_branch_id=agent.main_branch_id,
        procedures={},
        default_hold_audio_url=None,
    )


def summary_answer(summary: AgentSummary) -> AgentSummaryAnswer:
    """The answer for a line of the list."""
    last = summary.last_call_at
    return AgentSummaryAnswer(
        agent_id=summary.id,
        name=summary.name,
        voice_id=summary.voice_id,
        tags=list(summary.tags),
        created_at_unix_secs=_seconds(summary.created_at),
        updated_at_unix_secs=_seconds(summary.updated_at),
        access_info=ADMIN,
        last_call_time_unix_secs=None if last is None else _seconds(last),
        archived=summary.archived,
    )


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
