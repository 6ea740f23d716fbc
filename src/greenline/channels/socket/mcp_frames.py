"""What a client is sent of MCP servers and of calls of their tools (reference: Client events)."""

from __future__ import annotations

from typing import Any

from greenline.tools.mcp.desk import McpConnections, McpToolCall

TOOL_CALL = "mcp_tool_call"


def mcp_frame(event: McpToolCall | McpConnections) -> dict[str, Any]:
    """The frame that tells of an event."""
    if isinstance(event, McpToolCall):
        return {"type": TOOL_CALL, TOOL_CALL: _call(event)}
    integrations = [
        {
            "integration_id": item.server_id,
            "integration_type": "mcp_server",
            "is_connected": item.is_connected,
            "tool_count": item.tools,
        }
        for item in event.integrations
    ]
    return {"type": "mcp_connection_status", "mcp_connection_status": {"integrations": integrations}}


def _call(event: McpToolCall) -> dict[str, Any]:
    call: dict[str, Any] = {
        "service_id": event.server_id,
        "tool_call_id": event.tool_call_id,
        "tool_name": event.tool_name,
        "parameters": dict(event.parameters),
        "timestamp": event.at.isoformat(),
        "state": event.state,
    }
    if event.description:
        call["tool_description"] = event.description
    match event.state:
        case "awaiting_approval":
            call["approval_timeout_secs"] = int(event.approval_seconds)
        case "success":
            call["result"] = [dict(block) for block in event.result]
        case "failure":
            call["error_message"] = event.error
    return call
