"""Requests and answers of the MCP servers API, in the shapes of the reference."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from greenline.agents.config.base import Map
from greenline.agents.config.locators import AuthConnection, HeaderValue, SecretLocator
from greenline.agents.config.service_tools import SchemaOverride
from greenline.agents.config.tool_common import DynamicVariableAssignment
from greenline.api.access_info import ADMIN, AccessInfo
from greenline.api.dependents import DependentAgentAnswer
from greenline.tools.mcp.client import ListedTool
from greenline.tools.mcp.models import (
    ApprovalPolicy,
    DependentAgent,
    McpServer,
    McpServerConfig,
    MetaValue,
    OwnBehaviour,
    ResponseMock,
    ToolName,
    ToolPolicy,
    tool_hash,
    tool_id,
)


class CreateMcpServer(BaseModel):
    """A new server."""

    config: McpServerConfig


class UpdateMcpServer(OwnBehaviour):
    """Changes of a server; what is absent stays, and null gives a field its default.

    In the two maps null takes an entry out, and the others stay.
    """

    approval_policy: ApprovalPolicy | None = None
    request_headers: dict[str, HeaderValue | None] | None = None
    request_meta: dict[str, MetaValue | None] | None = None
    disable_compression: bool | None = None
    secret_token: SecretLocator | None = None
    auth_connection: AuthConnection | None = None


class UpdatePolicy(BaseModel):
    """Who has to approve calls."""

    approval_policy: ApprovalPolicy


class ApproveTool(BaseModel):
    """A tool as the server describes it, and what is to be done with it as long as it looks so."""

    tool_name: ToolName
    tool_description: str
    input_schema: dict[str, Any] = {}
    approval_policy: ToolPolicy = "requires_approval"


class UpdateToolConfig(OwnBehaviour):
    """Changes of what a tool has of its own; null lets it be as its server."""

    assignments: list[DynamicVariableAssignment] | None = None
    input_overrides: Map[SchemaOverride] | None = None
    response_mocks: list[ResponseMock] | None = None


class CreateToolConfig(UpdateToolConfig):
    """What a tool is to have of its own."""

    tool_name: ToolName


class McpServerMetadata(BaseModel):
    """When a server was made. The key of a workspace is its only user: nobody owns it."""

    created_at: int
    owner_user_id: str | None = None


class McpServerAnswer(BaseModel):
    """A server (SDK: McpServerResponseModel)."""

    id: str
    config: McpServerConfig
    access_info: AccessInfo
    dependent_agents: list[DependentAgentAnswer]
    metadata: McpServerMetadata


class McpServerList(BaseModel):
    """All servers of the workspace."""

    mcp_servers: list[McpServerAnswer]


class ToolAnswer(BaseModel):
    """A tool as its server tells of it, with whatever else it tells (SDK: Tool)."""

    model_config = ConfigDict(extra="allow")

    name: str
    title: str | None = None
    description: str | None = None
    input_schema: dict[str, Any] = Field(alias="inputSchema")
    output_schema: dict[str, Any] | None = Field(None, alias="outputSchema")
    annotations: dict[str, Any] | None = None
    meta: dict[str, Any] | None = Field(None, alias="_meta")


class ApprovedDefinition(BaseModel):
    """A tool as it was approved."""

    description: str | None = None
    input_schema: dict[str, Any] | None = None


class ApprovalStatus(BaseModel):
    """What is stored of a tool that the server has now (SDK: McpToolApprovalStatus)."""

    tool_id: str
    state: Literal["up_to_date", "needs_review", "not_approved"]
    approval_policy: ToolPolicy | None = None
    approved_definition: ApprovedDefinition | None = None


class ToolList(BaseModel):
    """The tools of a server; a server that can't be asked is ``success: false`` (SDK: ListMcpToolsResponseModel)."""

    success: bool
    tools: list[ToolAnswer] = []
    tool_approval_statuses: list[ApprovalStatus] = []
    error_message: str | None = None


def tool_list(server: McpServer, tools: Iterable[ListedTool]) -> ToolList:
    """What a server offers, and what was approved of it: that is told where each tool has an approval of its own."""
    found = list(tools)
    per_tool = server.config.approval_policy == "require_approval_per_tool"
    return ToolList(
        success=True,
        tools=[ToolAnswer.model_validate(dict(tool.told)) for tool in found],
        tool_approval_statuses=[_status(server, tool) for tool in found] if per_tool else [],
    )


def _status(server: McpServer, tool: ListedTool) -> ApprovalStatus:
    approval = server.config.approval_of(tool.name)
    if approval is None:
        return ApprovalStatus(tool_id=tool_id(server.id, tool.name), state="not_approved")
    same = approval.tool_hash == tool_hash(tool.name, tool.description, tool.input_schema)
    before = server.approved.get(tool.name)
    return ApprovalStatus(
        tool_id=tool_id(server.id, tool.name),
        state="up_to_date" if same else "needs_review",
        approval_policy=approval.approval_policy,
        approved_definition=None if same or before is None else ApprovedDefinition.model_validate(before),
    )


def server_answer(server: McpServer, agents: Iterable[DependentAgent]) -> McpServerAnswer:
    """A server as the API shows it."""
    return McpServerAnswer(
        id=server.id,
        config=server.config,
        access_info=ADMIN,
        dependent_agents=[
            DependentAgentAnswer(id=agent.id, name=agent.name, created_at_unix_secs=int(agent.created_at.timestamp()))
            for agent in agents
        ],
        metadata=McpServerMetadata(created_at=int(server.created_at.timestamp())),
    )
