"""The turns of a transcript, with every field of the reference (``ConversationHistoryTranscript...``).

Fields that the reference does not have are our extensions, and say so.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import BaseModel

from greenline.conversations.deliveries import TurnDelivery
from greenline.conversations.usage import LlmUsage

Role: TypeAlias = Literal["user", "agent"]


class AgentMetadata(BaseModel):
    """Which agent spoke."""

    agent_id: str
    branch_id: str | None = None
    workflow_node_id: str | None = None
    version_id: str | None = None


class ToolCallView(BaseModel):
    """A call that the model asked for."""

    type: str
    request_id: str
    tool_name: str
    tool_id: str | None = None
    params_as_json: str
    tool_has_been_called: bool
    tool_details: dict[str, Any] | None = None


class SystemToolResult(BaseModel):
    """What a system tool did."""

    result_type: Literal["end_call_success", "skip_turn_success"]
    status: Literal["success"] = "success"
    reason: str | None = None
    message: str | None = None


class VoicemailDetectionResult(BaseModel):
    """A machine had answered, and what was left on it."""

    result_type: Literal["voicemail_detection_success"] = "voicemail_detection_success"
    status: Literal["success"] = "success"
    reason: str | None = None
    voicemail_message: str | None = None


class LanguageDetectionResult(BaseModel):
    """In which language the conversation went on."""

    result_type: Literal["language_detection_success"] = "language_detection_success"
    status: Literal["success"] = "success"
    reason: str | None = None
    language: str | None = None


SystemToolOutcome: TypeAlias = SystemToolResult | LanguageDetectionResult | VoicemailDetectionResult


class DynamicVariableUpdate(BaseModel):
    """A dynamic variable that a tool's answer set."""

    variable_name: str
    old_value: str | None = None
    new_value: str
    updated_at: float
    tool_name: str
    tool_request_id: str


class ToolResultView(BaseModel):
    """What a tool answered. ``result`` is there for the system tools that the reference describes."""

    type: str
    request_id: str
    tool_name: str
    tool_id: str | None = None
    result_value: str
    is_error: bool
    is_blocked: bool = False
    tool_has_been_called: bool
    tool_latency_secs: float
    error_type: str
    raw_error_message: str
    dynamic_variable_updates: list[DynamicVariableUpdate] = []
    result: SystemToolOutcome | None = None


class Metric(BaseModel):
    """A duration in seconds."""

    elapsed_time: float


class TurnMetrics(BaseModel):
    """How long the parts of a turn took."""

    metrics: dict[str, Metric]
    convai_asr_provider: str | None = None
    convai_tts_model: str | None = None
    convai_tts_cascade: str | None = None
    voice_id: str | None = None


class TurnFeedback(BaseModel):
    """How the client rated what the agent said."""

    score: Literal["like", "dislike"]
    time_in_call_secs: int


class ContextualUpdateInfo(BaseModel):
    """Background that stands for a subject: only the newest of a ``context_id`` counts."""

    context_id: str
    is_superseded: bool


class SilenceView(BaseModel):
    """The silence before a spoken answer, in milliseconds (our extension). ``waits`` are its parts, in order."""

    total_ms: float
    waits: dict[str, float]


class FileInput(BaseModel):
    """A file that was sent; ``file_url`` works without a key for a quarter of an hour.

    Size and ``duration_secs``, null for what does not sound or was not heard, are our extension.
    """

    file_id: str
    original_filename: str
    mime_type: str
    file_url: str
    size_bytes: int
    duration_secs: float | None = None


class LlmAttempt(BaseModel):
    """A model of the cascade that did not answer (our extension)."""

    model: str
    error: str
    seconds: float


class MultivoicePart(BaseModel):
    """What one voice said; ``voice_label`` is null for the agent's own. When a voice note is heard nobody knows."""

    text: str
    voice_label: str | None = None
    time_in_call_secs: int | None = None


class MultivoiceMessage(BaseModel):
    """A message that several voices said."""

    parts: list[MultivoicePart]


class LlmVerdict(BaseModel):
    """Why a model refused."""

    type: Literal["llm"] = "llm"
    rationale: str


class ClassifierVerdict(BaseModel):
    """Why a classifier refused: the score reached the threshold."""

    type: Literal["classifier"] = "classifier"
    score: float
    threshold: float


class TriggeredGuardrail(BaseModel):
    """A guardrail that was triggered."""

    guardrail_type: str
    guardrail_name: str | None = None
    execution_mode: Literal["streaming", "blocking"]
    guardrail_details: LlmVerdict | ClassifierVerdict


class UnjudgedGuardrail(BaseModel):
    """A guardrail that was not judged, since its judge failed (our extension)."""

    guardrail_type: str
    guardrail_name: str | None = None
    reason: str


class Turn(BaseModel):
    """One entry of a transcript."""

    role: Role
    message: str | None
    time_in_call_secs: int
    id: str
    created_at_unix_ms: int
    agent_metadata: AgentMetadata | None = None
    multivoice_message: MultivoiceMessage | None = None
    tool_calls: list[ToolCallView] = []
    tool_results: list[ToolResultView] = []
    feedback: TurnFeedback | None = None
    llm_override: str | None = None
    producing_llm: str | None = None
    llm_usage: LlmUsage | None = None
    conversation_turn_metrics: TurnMetrics | None = None
    rag_retrieval_info: None = None
    interrupted: bool = False
    ignored_as_backchannel: bool = False
    platform_event: Literal["user_turn_timeout", "skip_turn_wait_elapsed"] | None = None
    original_message: str | None = None
    reasoning: None = None
    source_medium: str | None = None
    source_event_id: int | None = None
    used_static_kb_document_ids: list[str] = []
    user_identifier: str | None = None
    triggered_guardrails: list[TriggeredGuardrail] = []
    file_input: FileInput | None = None
    file_inputs: list[FileInput] = []
    contextual_update_info: ContextualUpdateInfo | None = None
    reasoned: bool = False

    origin: str | None = None
    """Our extension: where the words come from: model, first_message, template, failure, closing, ...;
    ``contextual_update`` for background that a client gave, in the place of a person's words."""
    rich_content_id: str | None = None
    """Our extension: the row of buttons, drawn by the client, of which the person tapped one."""
    refused_messages: list[str] = []
    """Our extension: what the model would have said in the place of ``message``, and guardrails refused."""
    unjudged_guardrails: list[UnjudgedGuardrail] = []
    """Our extension: guardrails that let the words pass since their judge failed, or refused them for that."""
    llm_attempts: list[LlmAttempt] = []
    """Our extension: the models that were tried before."""
    silence: SilenceView | None = None
    """Our extension: how long the person waited for a spoken answer, and for what."""
    delivery: TurnDelivery | None = None
    """Our extension: what became of the words on their way to the person."""
