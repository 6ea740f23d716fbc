"""Conversations as clients read them: a line of the list, the whole, the short form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from pydantic import BaseModel

from greenline.agents.config.privacy import PrivacyConfig
from greenline.agents.models import AgentVersion
from greenline.agents.variables import shown
from greenline.conversations.beginning import known_from_start
from greenline.conversations.events import Entry
from greenline.conversations.files import ConversationFile
from greenline.conversations.metadata import KEPT, metadata
from greenline.conversations.metadata_models import Metadata
from greenline.conversations.models import Conversation, Verdict
from greenline.conversations.recordings import Recording
from greenline.conversations.transcript import Surroundings, transcript
from greenline.conversations.transcript_models import AgentMetadata, Role, Turn
from greenline.conversations.usage import Prices, llm_usage, no_prices, whole_price


class ConversationSummary(BaseModel):
    """A line of the list."""

    agent_id: str
    branch_id: str
    version_id: str
    agent_name: str | None
    conversation_id: str
    start_time_unix_secs: int
    call_duration_secs: int
    cost: int | None = None
    cost_fiat: float | None
    message_count: int
    user_message_count: int
    agent_message_count: int
    status: str
    termination_reason: str
    call_successful: Verdict
    call_success_score: float | None = None
    transcript_summary: str | None
    call_summary_title: str | None
    main_language: str | None
    conversation_initiation_source: str
    tool_names: list[str]
    direction: str | None
    rating: float | None
    sentiment_analysis: None = None
    data_collection_results: dict[str, Any] | None
    evaluation_criteria_results: dict[str, Any] | None
    tag_ids: list[str] = []


class ConversationPage(BaseModel):
    """A page of the list."""

    conversations: list[ConversationSummary]
    next_cursor: str | None
    has_more: bool


class Analysis(BaseModel):
    """What was found after the end."""

    evaluation_criteria_results: dict[str, Any] = {}
    data_collection_results: dict[str, Any] = {}
    evaluation_criteria_results_list: list[Any] = []
    data_collection_results_list: list[Any] = []
    call_successful: Verdict
    call_success_score: float | None = None
    transcript_summary: str
    call_summary_title: str | None
    scoped: list[Any] = []


class VisitedAgent(BaseModel):
    """An agent that took part."""

    agent_id: str
    branch_id: str | None


class SourceInfo(BaseModel):
    """The client that began the conversation."""

    source: str | None = None
    version: str | None = None


class InitiationView(BaseModel):
    """What the conversation was begun with; the dynamic variables as it began, without the secret ones."""

    conversation_config_override: dict[str, Any] = {}
    custom_llm_extra_body: dict[str, Any] = {}
    user_id: str | None = None
    source_info: SourceInfo | None = None
    branch_id: str | None = None
    environment: str | None = None
    starting_workflow_node_id: str | None = None
    procedure_ids: list[str] | None = None
    start_procedure_ids: list[str] | None = None
    dynamic_variables: dict[str, Any] = {}


class ConversationView(BaseModel):
    """The whole conversation."""

    agent_id: str
    agent_name: str | None
    conversation_product: Literal["agents"] = "agents"
    status: str
    user_id: str | None
    branch_id: str
    version_id: str
    metadata: Metadata
    analysis: Analysis | None
    user_message_count: int
    agent_message_count: int
    visited_agents: list[VisitedAgent]
    conversation_initiation_client_data: InitiationView
    environment: str
    conversation_id: str
    has_audio: bool = False
    has_user_audio: bool = False
    has_response_audio: bool = False
    has_auxiliary_audio: bool = False
    transcript: list[Turn]
    tag_ids: list[str] = []
    otlp_traces: dict[str, Any] | None = None


class SummaryMessage(BaseModel):
    """What was said, and by whom."""

    role: Role
    message: str


class SummaryView(BaseModel):
    """The short form: the messages only where they are few."""

    conversation_id: str
    agent_id: str
    status: str
    call_summary_title: str | None
    transcript_summary: str | None
    call_successful: Verdict
    message_count: int
    messages: list[SummaryMessage] | None
    messages_omitted: bool
    note: str


def summary_line(
    conversation: Conversation, *, with_summary: bool, with_data: bool, with_evaluation: bool, prices: Prices
) -> ConversationSummary:
    """A line of the list. No conversation has collected data or evaluations yet: what is asked for is empty."""
    return ConversationSummary(
        agent_id=conversation.agent_id,
        branch_id=conversation.branch_id,
        version_id=conversation.version_id,
        agent_name=conversation.agent_name,
        conversation_id=conversation.id,
        start_time_unix_secs=int(conversation.started_at.timestamp()),
        call_duration_secs=conversation.duration_seconds,
        cost_fiat=whole_price(
            llm_usage(conversation.llm_usage, prices), conversation.speech_price, conversation.call_price
        ),
        message_count=conversation.message_count,
        user_message_count=conversation.user_message_count,
        agent_message_count=conversation.agent_message_count,
        status=conversation.status,
        termination_reason=conversation.termination_reason,
        call_successful=conversation.verdict,
        transcript_summary=conversation.summary if with_summary else None,
        call_summary_title=conversation.title,
        main_language=conversation.main_language,
        conversation_initiation_source=conversation.source,
        tool_names=list(conversation.tool_names),
        direction=conversation.direction,
        rating=conversation.rating,
        data_collection_results={} if with_data else None,
        evaluation_criteria_results={} if with_evaluation else None,
    )


def view(
    conversation: Conversation,
    journal: Sequence[Entry],
    files: Sequence[ConversationFile],
    agent: AgentVersion | None,
    *,
    link: Callable[[ConversationFile], str],
    prices: Prices = no_prices,
    privacy: PrivacyConfig = KEPT,
    recording: Recording | None = None,
) -> ConversationView:
    """The whole conversation. ``agent`` is None when the agent was deleted; ``link`` makes the URL of a file.

    ``privacy`` holds for the conversation.
    """
    about = Surroundings(
        begun_at=conversation.begun_at,
        agent=AgentMetadata(
            agent_id=conversation.agent_id, branch_id=conversation.branch_id, version_id=conversation.version_id
        ),
        files={file.id: file for file in files},
        link=link,
        prices=prices,
    )
    return ConversationView(
        agent_id=conversation.agent_id,
        agent_name=conversation.agent_name,
        status=conversation.status,
        user_id=conversation.user_id,
        branch_id=conversation.branch_id,
        version_id=conversation.version_id,
        metadata=metadata(conversation, journal, agent, prices, privacy),
        analysis=_analysis(conversation) if conversation.is_over else None,
        user_message_count=conversation.user_message_count,
        agent_message_count=conversation.agent_message_count,
        visited_agents=[VisitedAgent(agent_id=conversation.agent_id, branch_id=conversation.branch_id)],
        conversation_initiation_client_data=_initiation(conversation, journal),
        environment=conversation.environment,
        conversation_id=conversation.id,
        has_audio=recording is not None,
        has_user_audio=recording is not None and recording.has_user,
        has_response_audio=recording is not None and recording.has_agent,
        transcript=transcript(journal, about),
    )


def short_form(conversation: Conversation, turns: Sequence[Turn], max_messages: int) -> SummaryView:
    """The short form, with all messages if there are no more than ``max_messages``."""
    said = [
        SummaryMessage(role=turn.role, message=turn.message)
        for turn in turns
        if turn.message and turn.origin != "contextual_update"
    ]
    omitted = len(said) > max_messages
    if omitted:
        note = f"The {len(said)} messages are left out: more than {max_messages}. Get the conversation to read them."
    else:
        note = f"All {len(said)} messages are included."
    return SummaryView(
        conversation_id=conversation.id,
        agent_id=conversation.agent_id,
        status=conversation.status,
        call_summary_title=conversation.title,
        transcript_summary=conversation.summary,
        call_successful=conversation.verdict,
        message_count=len(said),
        messages=None if omitted else said,
        messages_omitted=omitted,
        note=note,
    )


def _analysis(conversation: Conversation) -> Analysis:
    return Analysis(
        call_successful=conversation.verdict,
        transcript_summary=conversation.summary or "",
        call_summary_title=conversation.title,
    )


def _initiation(conversation: Conversation, journal: Sequence[Entry]) -> InitiationView:
    data = conversation.initiation
    started = known_from_start(entry.event for entry in journal)
    given = data.get("dynamic_variables") or {}
    source = data.get("source_info") or {}
    return InitiationView(
        **{name: data[name] for name in InitiationView.model_fields if data.get(name) is not None}
        | {
            "source_info": {"source": source.get("source") or conversation.source, "version": source.get("version")},
            "user_id": conversation.user_id,
            "dynamic_variables": shown(started.variables if started else given),
        }
    )
