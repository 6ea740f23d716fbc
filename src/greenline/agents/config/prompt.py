"""What the model is told, which model it is, and what it may use."""

from __future__ import annotations

from importlib import resources
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, field_validator

from greenline.agents.config.base import ConfigModel, Integer, Name
from greenline.agents.config.knowledge import KnowledgeBaseLocator, RagConfig
from greenline.agents.config.limits import POSITIVE_OR_NONE
from greenline.agents.config.llm import BackupLlmConfig, BackupLlmDefault, CustomLlm
from greenline.agents.config.system_tools import BuiltInTools
from greenline.agents.config.tools import InlineTool

# Read once: looking a zone up in the file system would block the event loop.
_TIME_ZONES: Final = frozenset(resources.files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())

ReasoningEffort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class PromptConfig(ConfigModel):
    """The block ``conversation_config.agent.prompt``.

    ``temperature`` null leaves it to the model; ``max_tokens`` -1 sets no limit; ``cascade_timeout_seconds`` is the
    time to the first token before the next model is asked.
    """

    prompt: str = ""
    llm: Name = "gemini-2.5-flash"
    reasoning_effort: ReasoningEffort | None = None
    service_tier: Literal["standard", "fast"] | None = None
    thinking_budget: Integer | None = None
    enable_reasoning_summary: bool = False
    temperature: float | None = 0.0
    max_tokens: Annotated[Integer, POSITIVE_OR_NONE] = -1
    tool_ids: list[str] = []
    tool_ids_strict: bool = False
    built_in_tools: BuiltInTools = BuiltInTools()
    enable_parallel_tool_calls: bool = False
    mcp_server_ids: Annotated[list[str], Field(max_length=10)] = []
    native_mcp_server_ids: Annotated[list[str], Field(max_length=10)] = []
    knowledge_base: list[KnowledgeBaseLocator] = []
    custom_llm: CustomLlm | None = None
    ignore_default_personality: bool = True
    rag: RagConfig = RagConfig()
    timezone: str | None = None
    backup_llm_config: BackupLlmConfig = BackupLlmDefault()
    cascade_timeout_seconds: Annotated[float, Field(ge=2, le=15)] = 4.0
    tools: list[InlineTool] = []

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name and name not in _TIME_ZONES:
            raise ValueError("no such time zone; use a name such as Europe/London or UTC")
        return name
