"""What an MCP server is to a workspace: where it is, who may use its tools, and how they run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias

import orjson
from pydantic import BaseModel, Field, StrictBool, StrictFloat, StrictInt, field_validator

from greenline.agents.config.base import ConfigModel, Map, Name
from greenline.agents.config.locators import (
    AuthConnection,
    EnvironmentLocator,
    HeaderValue,
    SecretLocator,
    VariableLocator,
)
from greenline.agents.config.service_tools import SchemaOverride
from greenline.agents.config.tool_common import (
    DynamicVariableAssignment,
    ExecutionMode,
    InterruptionMode,
    PreToolSpeech,
    ServiceSeconds,
    SoundBehavior,
)
from greenline.errors import BadRequest, Conflict, NotFound

ApprovalPolicy: TypeAlias = Literal["auto_approve_all", "require_approval_all", "require_approval_per_tool"]
ToolPolicy: TypeAlias = Literal["auto_approved", "requires_approval"]
Transport: TypeAlias = Literal["SSE", "STREAMABLE_HTTP"]
ToolName: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]
"""A server names its tools as it likes; the specification wants at most 128 characters."""
MetaValue: TypeAlias = (
    str | StrictBool | StrictInt | StrictFloat | SecretLocator | VariableLocator | EnvironmentLocator
)


_SAFE_INTEGER: Final = 2**53 - 1  # RFC 8259, 6: what all agree on


class McpServerNotFound(NotFound):
    """The workspace has no MCP server with this id."""

    code = "mcp_server_not_found"


class McpServerInUse(BadRequest):
    """Agents use this MCP server. Take it out of their mcp_server_ids first."""

    code = "mcp_server_in_use"


class ToolConfigExists(Conflict):
    """This tool has a configuration already: change it by PATCH, or delete it first."""

    code = "mcp_tool_config_exists"


class ToolConfigNotFound(NotFound):
    """This tool has no configuration of its own: create it by POST."""

    code = "mcp_tool_config_not_found"


class ToolApprovalNotFound(NotFound):
    """No approval of this tool is stored."""

    code = "mcp_tool_approval_not_found"


class ToolApproval(ConfigModel):
    """That a tool was looked at, as it was then: another description or schema has another hash."""

    tool_name: ToolName
    tool_hash: str
    approval_policy: ToolPolicy = "requires_approval"


class ResponseMock(ConfigModel):
    """What a call answers instead of the tool, in conversations that mock it."""

    parameter_conditions: list[Any] = []  # noqa: RUF012 - pydantic copies the default of a field
    mock_result: str
    is_error: bool = False


class OwnBehaviour(BaseModel):
    """What may be said of a server and of each of its tools; null says nothing."""

    force_pre_tool_speech: bool | None = None
    pre_tool_speech: PreToolSpeech | None = None
    disable_interruptions: bool | None = None
    interruption_mode: InterruptionMode | None = None
    tool_call_sound: Name | None = None
    tool_call_sound_behavior: SoundBehavior | None = None
    execution_mode: ExecutionMode | None = None
    response_timeout_secs: ServiceSeconds | None = None


class ToolConfig(ConfigModel, OwnBehaviour):
    """What one tool has otherwise than its server; null leaves it as the server has it.

    ``input_overrides`` are by the path of the argument: ``order.customer_id``.
    """

    tool_name: ToolName
    assignments: list[DynamicVariableAssignment] = []
    input_overrides: Map[SchemaOverride] = {}
    response_mocks: list[ResponseMock] = []


class McpServerConfig(ConfigModel):
    """The block ``config`` of an MCP server.

    ``response_timeout_secs`` is for each call. ``secret_token`` is sent as ``Authorization``, ``request_meta`` as the
    ``_meta`` of each call.
    """

    name: Name
    description: str | None = None
    url: str | SecretLocator
    transport: Transport = "SSE"
    approval_policy: ApprovalPolicy = "require_approval_all"
    tool_approval_hashes: list[ToolApproval] = []  # noqa: RUF012 - pydantic copies the default of a field
    secret_token: SecretLocator | None = None
    request_headers: Map[HeaderValue] = {}  # noqa: RUF012 - pydantic copies the default of a field
    request_meta: Map[MetaValue] = {}  # noqa: RUF012 - pydantic copies the default of a field
    auth_connection: AuthConnection | None = None
    force_pre_tool_speech: bool = False
    pre_tool_speech: PreToolSpeech = "auto"
    disable_interruptions: bool = False
    interruption_mode: InterruptionMode = "allow"
    tool_call_sound: Name | None = None
    tool_call_sound_behavior: SoundBehavior = "auto"
    execution_mode: ExecutionMode = "immediate"
    response_timeout_secs: ServiceSeconds = 30
    tool_config_overrides: list[ToolConfig] = []  # noqa: RUF012 - pydantic copies the default of a field
    disable_compression: bool = False

    @field_validator("url")
    @classmethod
    def _of_the_web(cls, url: str | SecretLocator) -> str | SecretLocator:
        if isinstance(url, str) and not url.startswith(("https://", "http://")):
            raise ValueError("the URL must begin with https:// written out, or be {'secret_id': ...}")
        return url

    def approval_of(self, tool_name: str) -> ToolApproval | None:
        """What is stored of a tool."""
        return next((item for item in self.tool_approval_hashes if item.tool_name == tool_name), None)

    def config_of(self, tool_name: str) -> ToolConfig | None:
        """What a tool has of its own."""
        return next((item for item in self.tool_config_overrides if item.tool_name == tool_name), None)


@dataclass(frozen=True, slots=True)
class McpServer:
    """An MCP server of a workspace. ``approved`` holds what was approved, by the tool's name."""

    id: str
    workspace_id: str
    config: McpServerConfig
    approved: Mapping[str, Mapping[str, Any]]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class DependentAgent:
    """An agent whose newest version of a branch uses a server."""

    id: str
    name: str
    created_at: datetime


def tool_hash(name: str, description: str, input_schema: Mapping[str, Any]) -> str:
    """SHA-256 of what a person approves, in hexadecimal: another way to write the same JSON changes nothing."""
    whole = {"name": name, "description": description, "input_schema": _same_numbers(input_schema)}
    return hashlib.sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _same_numbers(value: Any) -> Any:
    """``1.0`` as ``1``: so it comes back from a client in JavaScript, which knows one kind of number."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _SAFE_INTEGER:
        return int(value)
    if isinstance(value, Mapping):
        return {name: _same_numbers(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_same_numbers(inner) for inner in value]
    return value


def tool_id(server_id: str, tool_name: str) -> str:
    """How the reference addresses a tool of a server."""
    return f"mcp:{server_id}:{tool_name}"
