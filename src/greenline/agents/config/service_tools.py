"""Tools that another service describes: of an MCP server, or of an integration that the business has connected."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, Tag

from greenline.agents.config.base import ConfigModel, Map, open_union
from greenline.agents.config.locators import VariableLocator
from greenline.agents.config.tool_common import DynamicVariables, ExecutionMode, ServiceSeconds, ToolBase
from greenline.agents.config.tool_schema import Scalar


class McpTool(ToolBase):
    """A tool of an MCP server. Its description and its input are the server's, and kept as they came."""

    type: Literal["mcp"]
    response_timeout_secs: ServiceSeconds = 30
    approval_policy: Literal["require_approval_all", "auto_approve_all", "require_approval_per_tool"] = (
        "require_approval_all"
    )
    execution_mode: ExecutionMode = "immediate"


class ConstantOverride(ConfigModel):
    """A parameter always has this value."""

    source: Literal["constant"]
    constant_value: Scalar | None = None


class VariableOverride(ConfigModel):
    """A parameter has the value of a dynamic variable."""

    source: Literal["dynamic_variable"]
    dynamic_variable: Annotated[str, Field(min_length=1)]


class ModelOverride(ConfigModel):
    """The model fills a parameter as ``prompt`` says, instead of as its schema does."""

    source: Literal["llm"]
    prompt: str | None = None


class OtherOverride(ConfigModel):
    """``omit``, which leaves a parameter out, or a source that this server does not know."""

    source: str


SchemaOverride: TypeAlias = Annotated[
    Annotated[ConstantOverride, Tag("constant")]
    | Annotated[VariableOverride, Tag("dynamic_variable")]
    | Annotated[ModelOverride, Tag("llm")]
    | Annotated[OtherOverride, Tag("other")],
    open_union("source", "constant", "dynamic_variable", "llm"),
]


class IntegrationOverrides(ConfigModel):
    """What the business changes of an integration's request; null leaves it as the integration has it."""

    schema_overrides: Map[SchemaOverride] | None = None
    response_filter_mode: Literal["all", "allow", "hide_all"] | None = None
    response_filters: list[str] | None = None
    request_headers: Map[str | VariableLocator] | None = None


class IntegrationTool(ToolBase):
    """A request of an integration, with the connection that the business has made to it."""

    type: Literal["api_integration_webhook"]
    description: str
    response_timeout_secs: ServiceSeconds = 20
    dynamic_variables: DynamicVariables = DynamicVariables()
    execution_mode: ExecutionMode = "immediate"
    tool_version: str = "1.0.0"
    api_integration_id: str
    api_integration_connection_id: str
    api_schema_overrides: IntegrationOverrides | None = None
