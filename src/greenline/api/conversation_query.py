"""The filters of the list of conversations as the reference names them, checked and put into a `Filter`.

Filters on what no conversation has yet (collected data, evaluations, topics, tags, procedures, workflow
nodes, sub-agents) are checked like all others; a wish for such a thing matches nothing.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

from pydantic import AfterValidator, BaseModel, Field

from greenline.conversations.listing import Comparison, Direction, Filter, Operator, ToolFilter

LATEST: Final = 253_402_214_400  # 31 December 9999: later ones are no dates

Status: TypeAlias = Literal["initiated", "in-progress", "processing", "done", "failed"]
Moment: TypeAlias = Annotated[int, Field(ge=0, le=LATEST)]
Seconds: TypeAlias = Annotated[int, Field(ge=0, le=2**53)]
Rating: TypeAlias = Annotated[int, Field(ge=1, le=5)]
Upto50: TypeAlias = Annotated[list[str], Field(max_length=50)]

GuardrailType: TypeAlias = Literal[
    "custom",
    "prompt_injection",
    "self_harm_intent",
    "violence_graphic",
    "sexual",
    "violence",
    "harassment",
    "sexual_minors",
    "self_harm",
    "self_harm_instructions",
    "harassment_threatening",
    "hate",
    "hate_threatening",
    "profanity",
    "religion_or_politics",
    "medical_and_legal",
    "guardrail",
]

_NUMBER: Final = re.compile(r"-?[0-9]{1,100}(\.[0-9]{1,100})?")
_ORDERED: Final = frozenset({"gt", "gte", "lt", "lte"})


def comparison(text: str) -> Comparison:
    """``name:op:value`` of the reference. Raises ``ValueError`` with what is wrong."""
    name, _, rest = text.partition(":")
    op, colon, value = rest.partition(":")
    if not name or not colon or op not in get_args(Operator):
        raise ValueError(f"must be name:op:value where op is one of {', '.join(get_args(Operator))}")
    operator: Any = op
    if op == "in":
        return Comparison(name, operator, tuple(value.split("|")))
    if op in _ORDERED:
        if not _NUMBER.fullmatch(value):
            raise ValueError(f"{op} needs a plain number")
        return Comparison(name, operator, number=Decimal(value))
    return Comparison(name, operator, (value,))


def _comparison(text: str) -> str:
    comparison(text)
    return text


def _evaluation(text: str) -> str:
    name, _, result = text.rpartition(":")
    if not name or result not in ("success", "failure", "unknown"):
        raise ValueError("must be criteria_id:result where result is one of success, failure, unknown")
    return text


ComparisonText: TypeAlias = Annotated[str, AfterValidator(_comparison)]
EvaluationText: TypeAlias = Annotated[str, AfterValidator(_evaluation)]


class ConversationQuery(BaseModel):
    """What can be asked of the list; lists are repeated parameters, of which any may match."""

    cursor: str | None = None
    page_size: int = Field(30, ge=1, le=100)
    sort_direction: Direction = "desc"
    summary_mode: Literal["exclude", "include"] = "exclude"
    agent_id: str | None = None
    branch_id: str | None = None
    version_id: str | None = None
    user_id: str | None = None
    parent_conversation_id: str | None = None
    visited_agent_ids: Upto50 = []
    visited_agent_branch_ids: Upto50 = []
    triggered_procedure_ids: Upto50 = []
    workflow_node_entered_id: str | None = None
    call_successful: Literal["success", "failure", "unknown", "error"] | None = None
    call_start_before_unix: Moment | None = Field(None, description="Unix seconds, included.")
    call_start_after_unix: Moment | None = Field(None, description="Unix seconds, included.")
    call_duration_min_secs: Seconds | None = None
    call_duration_max_secs: Seconds | None = None
    rating_min: Rating | None = None
    rating_max: Rating | None = None
    has_feedback_comment: bool | None = None
    evaluation_params: list[EvaluationText] = Field([], description="criteria_id:result")
    data_collection_params: list[ComparisonText] = Field([], description="id:op:value")
    data_collection_filter: ComparisonText | None = Field(None, description="One more id:op:value")
    dynamic_variable_params: list[ComparisonText] = Field([], description="name:op:value")
    dynamic_variable_filter: ComparisonText | None = Field(None, description="One more name:op:value")
    data_collection_ids: list[str] = Field([], description="Results to include in each line.")
    evaluation_criteria_ids: list[str] = Field([], description="Results to include in each line.")
    tool_names: list[str] = []
    tool_names_successful: list[str] = []
    tool_names_errored: list[str] = []
    tool_ids: list[str] = Field([], description="A system tool is __system_<name>.")
    tool_ids_successful: list[str] = []
    tool_ids_errored: list[str] = []
    include_invalid_tool_calls: bool = Field(default=False, description="Count calls that never ran, too.")
    main_languages: list[str] = []
    phone_number_ids: list[str] = []
    whatsapp_phone_number_ids: list[str] = []
    search: str | None = Field(None, max_length=1000, description="Words that all stand in the messages.")
    conversation_initiation_source: str | None = None
    text_only: bool | None = None
    conversation_product_type: Literal["agents", "speech_engine"] | None = None
    topic_ids: list[str] = []
    tag_ids: list[str] = []
    exclude_statuses: list[Status] = []
    termination_reasons: list[str] = []
    guardrail_types: list[GuardrailType] = []
    custom_guardrail_names: list[str] = []

    def to_filter(self) -> Filter:
        """The filter that the list takes."""
        return Filter(
            agent_id=self.agent_id,
            branch_id=self.branch_id,
            version_id=self.version_id,
            user_id=self.user_id,
            call_successful=self.call_successful,
            started_from=self.call_start_after_unix,
            started_to=self.call_start_before_unix,
            duration_min=self.call_duration_min_secs,
            duration_max=self.call_duration_max_secs,
            rating_min=self.rating_min,
            rating_max=self.rating_max,
            has_feedback_comment=self.has_feedback_comment,
            source=self.conversation_initiation_source,
            text_only=self.text_only,
            visited_agent_ids=tuple(self.visited_agent_ids),
            visited_agent_branch_ids=tuple(self.visited_agent_branch_ids),
            main_languages=tuple(self.main_languages),
            phone_number_ids=tuple(self.phone_number_ids),
            whatsapp_phone_number_ids=tuple(self.whatsapp_phone_number_ids),
            exclude_statuses=tuple(self.exclude_statuses),
            termination_reasons=tuple(self.termination_reasons),
            guardrail_types=tuple(self.guardrail_types),
            custom_guardrail_names=tuple(self.custom_guardrail_names),
            tool_names=ToolFilter(
                tuple(self.tool_names), tuple(self.tool_names_successful), tuple(self.tool_names_errored)
            ),
            tool_ids=ToolFilter(tuple(self.tool_ids), tuple(self.tool_ids_successful), tuple(self.tool_ids_errored)),
            include_invalid_tool_calls=self.include_invalid_tool_calls,
            variables=_comparisons(self.dynamic_variable_params, self.dynamic_variable_filter),
            search=self.search,
            impossible=self._impossible(),
        )

    def _impossible(self) -> bool:
        """Whether something is asked for that no conversation has. Data that was not collected counts as empty."""
        wanted = (
            self.parent_conversation_id,
            self.triggered_procedure_ids,
            self.workflow_node_entered_id,
            self.evaluation_params,
            self.topic_ids,
            self.tag_ids,
            self.conversation_product_type == "speech_engine",
        )
        collected = _comparisons(self.data_collection_params, self.data_collection_filter)
        return any(wanted) or not all(wish.holds_for_nothing for wish in collected)


def _comparisons(several: list[str], one: str | None) -> tuple[Comparison, ...]:
    return tuple(comparison(text) for text in (*several, *([one] if one else [])))
