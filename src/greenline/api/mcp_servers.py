"""MCP servers over HTTP (reference: Tools, MCP servers)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from greenline.agents.lookup import Lookup, ValueUnavailable
from greenline.api.deps import Caller, Services
from greenline.api.mcp_models import (
    ApproveTool,
    CreateMcpServer,
    CreateToolConfig,
    McpServerAnswer,
    McpServerList,
    ToolList,
    UpdateMcpServer,
    UpdatePolicy,
    UpdateToolConfig,
    server_answer,
    tool_list,
)
from greenline.api.refusing import refusing
from greenline.tools.mcp.catalogue import LIST_SECONDS
from greenline.tools.mcp.endpoint import endpoint_of
from greenline.tools.mcp.failures import McpFailure
from greenline.tools.mcp.models import McpServer, ToolConfig
from greenline.tools.mcp.service import McpServers
from greenline.workspaces.environments import check_environment
from greenline.workspaces.models import Workspace

router = APIRouter(prefix="/v1/convai/mcp-servers", tags=["MCP servers"])

Environment = Annotated[str | None, Query(description="Whose values of environment variables are used.")]


@router.get("")
async def list_servers(services: Services, workspace: Caller) -> McpServerList:
    """All MCP servers of the workspace, the newest first."""
    servers = await _servers(services, workspace).all()
    agents = await _servers(services, workspace).agents([server.id for server in servers])
    return McpServerList(mcp_servers=[server_answer(server, agents[server.id]) for server in servers])


@router.post("")
async def create_server(body: CreateMcpServer, services: Services, workspace: Caller) -> McpServerAnswer:
    """Create an MCP server. Nobody connects to it yet."""
    with refusing("config"):
        server = await _servers(services, workspace).create(body.config)
    return server_answer(server, ())


@router.get("/{mcp_server_id}")
async def get_server(mcp_server_id: str, services: Services, workspace: Caller) -> McpServerAnswer:
    """An MCP server and the agents that use it."""
    return await _answer(services, workspace, await _servers(services, workspace).get(mcp_server_id))


@router.patch("/{mcp_server_id}")
async def update_server(
    mcp_server_id: str, body: UpdateMcpServer, services: Services, workspace: Caller
) -> McpServerAnswer:
    """Change the configuration of an MCP server."""
    changes = body.model_dump(mode="json", exclude_unset=True)
    with refusing():
        server = await _servers(services, workspace).update(mcp_server_id, changes)
    return await _answer(services, workspace, server)


@router.delete("/{mcp_server_id}")
async def delete_server(mcp_server_id: str, services: Services, workspace: Caller) -> dict[str, str]:
    """Delete an MCP server that no agent uses."""
    await _servers(services, workspace).delete(mcp_server_id)
    return {"status": "ok"}


@router.patch("/{mcp_server_id}/approval-policy")
async def update_policy(
    mcp_server_id: str, body: UpdatePolicy, services: Services, workspace: Caller
) -> McpServerAnswer:
    """Change who has to approve calls of the server's tools."""
    server = await _servers(services, workspace).set_policy(mcp_server_id, body.approval_policy)
    return await _answer(services, workspace, server)


@router.post("/{mcp_server_id}/tool-approvals")
async def approve_tool(
    mcp_server_id: str, body: ApproveTool, services: Services, workspace: Caller
) -> McpServerAnswer:
    """Approve a tool as it is now, in advance or for each call."""
    server = await _servers(services, workspace).approve(
        mcp_server_id, body.tool_name, body.tool_description, body.input_schema, body.approval_policy
    )
    return await _answer(services, workspace, server)


@router.delete("/{mcp_server_id}/tool-approvals/{tool_name:path}")
async def disapprove_tool(
    mcp_server_id: str, tool_name: str, services: Services, workspace: Caller
) -> McpServerAnswer:
    """Forget the approval of a tool."""
    server = await _servers(services, workspace).disapprove(mcp_server_id, tool_name)
    return await _answer(services, workspace, server)


@router.post("/{mcp_server_id}/tool-configs")
async def create_tool_config(
    mcp_server_id: str, body: CreateToolConfig, services: Services, workspace: Caller, environment: Environment = None
) -> McpServerAnswer:
    """Give a tool a configuration of its own. The server is not asked whether it has the tool."""
    with refusing():
        config = ToolConfig.model_validate(body.model_dump(mode="json", exclude_unset=True))
        server = await _servers(services, workspace).create_tool_config(mcp_server_id, config)
    return await _answer(services, workspace, server)


@router.get("/{mcp_server_id}/tool-configs/{tool_name:path}")
async def get_tool_config(mcp_server_id: str, tool_name: str, services: Services, workspace: Caller) -> ToolConfig:
    """What a tool has of its own."""
    return await _servers(services, workspace).tool_config(mcp_server_id, tool_name)


@router.patch("/{mcp_server_id}/tool-configs/{tool_name:path}")
async def update_tool_config(
    mcp_server_id: str,
    tool_name: str,
    body: UpdateToolConfig,
    services: Services,
    workspace: Caller,
    environment: Environment = None,
) -> McpServerAnswer:
    """Change what a tool has of its own."""
    changes = body.model_dump(mode="json", exclude_unset=True)
    with refusing():
        server = await _servers(services, workspace).update_tool_config(mcp_server_id, tool_name, changes)
    return await _answer(services, workspace, server)


@router.delete("/{mcp_server_id}/tool-configs/{tool_name:path}")
async def delete_tool_config(
    mcp_server_id: str, tool_name: str, services: Services, workspace: Caller
) -> McpServerAnswer:
    """Let a tool be as its server again."""
    server = await _servers(services, workspace).delete_tool_config(mcp_server_id, tool_name)
    return await _answer(services, workspace, server)


@router.get("/{mcp_server_id}/tools")
async def list_tools(
    mcp_server_id: str, services: Services, workspace: Caller, environment: Environment = None
) -> ToolList:
    """Ask the server for its tools. One that can't be asked is no error of this request."""
    server = await _servers(services, workspace).get(mcp_server_id)
    chosen = await check_environment(services.pool, workspace.id, environment)
    lookup = Lookup(services.pool, services.vault, workspace.id, "", {}, environment=chosen)
    try:
        endpoint = await endpoint_of(server.config, lookup)
        tools = await services.mcp.clients.tools(endpoint, LIST_SECONDS)
    except ValueUnavailable as error:
        return ToolList(success=False, error_message=error.message)
    except McpFailure as failure:
        return ToolList(success=False, error_message=failure.reason)
    return tool_list(server, tools)


def _servers(services: Services, workspace: Workspace) -> McpServers:
    return McpServers(services.pool, services.clock, workspace.id)


async def _answer(services: Services, workspace: Workspace, server: McpServer) -> McpServerAnswer:
    agents = await _servers(services, workspace).agents([server.id])
    return server_answer(server, agents[server.id])
