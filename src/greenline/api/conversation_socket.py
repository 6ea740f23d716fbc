"""The WebSockets of conversations, and the monitor's commands over HTTP (reference: Real-time monitoring)."""

from __future__ import annotations

from typing import Any, cast

from fastapi import APIRouter, WebSocket
from pydantic import BaseModel

from greenline.api.deps import AppServices, Caller, Services
from greenline.channels.orders import place, read_order

router = APIRouter(prefix="/v1/convai", tags=["Conversations"])


class MonitorCommand(BaseModel):
    """A command of the monitor socket."""

    command_type: str
    parameters: dict[str, Any] | None = None


@router.websocket("/conversation")
async def converse(websocket: WebSocket) -> None:
    """Talk to an agent."""
    await cast("AppServices", websocket.app.state.services).sockets.converse(websocket)


@router.websocket("/conversations/{conversation_id}/monitor")
async def monitor(websocket: WebSocket, conversation_id: str) -> None:
    """Watch a conversation while it runs, and step in."""
    await cast("AppServices", websocket.app.state.services).sockets.monitor(websocket, conversation_id)


@router.post("/conversations/{conversation_id}/commands")
async def command(
    conversation_id: str, body: MonitorCommand, services: Services, workspace: Caller
) -> dict[str, str]:
    """Step into a conversation that runs: end it, take over from the agent, speak, hand back.

    The commands are those of the monitor socket; the answer comes when the command is durable.
    """
    order = read_order(body.command_type, body.parameters)
    await place(services.pool, services.clock, workspace.id, conversation_id, order)
    return {"status": "accepted"}
