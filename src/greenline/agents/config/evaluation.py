"""What is found out about a conversation once it ended."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from greenline.agents.config.base import ConfigModel, Integer, Name
from greenline.agents.config.limits import AtMost
from greenline.agents.config.tool_schema import LiteralSchema

Scope: TypeAlias = Literal["conversation", "agent"]
CriterionText: TypeAlias = Annotated[str, Field(max_length=2000)]


class EvaluationCriterion(ConfigModel):
    """A goal that a model judges."""

    id: str
    name: str
    type: Literal["prompt"] = "prompt"
    conversation_goal_prompt: CriterionText
    use_knowledge_base: bool = False
    scope: Scope = "conversation"
    llm: Name | None = None
    scoring_mode: Literal["binary", "numeric_uniform"] = "binary"
    max_score: Integer = 100
    score_instructions: CriterionText | None = None


class EvaluationSettings(ConfigModel):
    """The criteria in the order in which they are shown."""

    criteria: Annotated[list[EvaluationCriterion], AtMost(30)] = []


class AnalysisProperty(LiteralSchema):
    """A value that a model takes from the conversation, as the description says."""

    name: str | None = None
    llm: Name | None = None


class SystemEvaluationItem(ConfigModel):
    """A built-in criterion."""

    source: Literal["system"]
    analysis_item_id: Name
    scope: Scope = "conversation"
    weight: float | None = None


class UserEvaluationItem(ConfigModel):
    """A criterion of the workspace, at its newest version when none is named."""

    source: Literal["user"]
    analysis_item_id: str
    version_id: str | None = None
    additional_version_ids: list[str] = []
    scope: Scope = "conversation"
    weight: float | None = None


class SystemDataItem(ConfigModel):
    """A built-in data point."""

    source: Literal["system"]
    analysis_item_id: Name
    scope: Scope = "conversation"


class UserDataItem(ConfigModel):
    """A data point of the workspace."""

    source: Literal["user"]
    analysis_item_id: str
    version_id: str | None = None
    scope: Scope = "conversation"


class AnalysisItems(ConfigModel):
    """Criteria and data points attached by reference."""

    evaluation_criteria: list[
        Annotated[SystemEvaluationItem | UserEvaluationItem, Field(discriminator="source")]
    ] = []
    data_collection: list[Annotated[SystemDataItem | UserDataItem, Field(discriminator="source")]] = []
