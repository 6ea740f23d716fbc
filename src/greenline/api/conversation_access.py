"""How a client without a key gets to talk to an agent: signed URLs, room tokens (reference: Authentication)."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel

from greenline.agents.service import get
from greenline.api.conversation_auth import OptionalCaller
from greenline.api.deps import Caller, Services
from greenline.channels.socket.access import workspace_of_agent
from greenline.channels.socket.signing import Signature, seal, signed_url
from greenline.errors import GreenlineError, NeedsAuthorization
from greenline.ids import new_id
from greenline.workspaces.environments import check_environment

router = APIRouter(prefix="/v1/convai/conversation", tags=["Conversations"])


class NoRooms(GreenlineError):
    """This server has no LiveKit server, whose rooms WebRTC needs. Connect over the WebSocket instead: connectionType
    "websocket" in the JavaScript client, or a URL of /v1/convai/conversation/get-signed-url.
    """

    http_status = 501
    code = "webrtc_not_configured"


class SignedUrl(BaseModel):
    """Where a client connects."""

    signed_url: str


@router.get("/get-signed-url")
@router.get("/get_signed_url", include_in_schema=False)
async def get_signed_url(
    request: Request,
    services: Services,
    workspace: Caller,
    agent_id: str,
    include_conversation_id: bool = False,
    branch_id: str | None = None,
    version_id: str | None = None,
    environment: str | None = None,
) -> SignedUrl:
    """A URL under which a client without a key may start a conversation, within 15 minutes.

    With `include_conversation_id` it names the conversation to come, and works once.
    """
    await get(services.pool, workspace.id, agent_id, branch_id=branch_id, version_id=version_id)
    await check_environment(services.pool, workspace.id, environment)
    reserved = new_id("conv") if include_conversation_id else None
    signature = Signature(workspace.id, agent_id, branch_id, version_id, environment, reserved)
    base = services.settings.public_url or str(request.base_url)
    return SignedUrl(signed_url=signed_url(base, seal(services.vault, services.clock, signature), signature))


@router.get("/token")
async def get_token(
    services: Services,
    caller: OptionalCaller,
    agent_id: str,
    branch_id: str | None = None,
    version_id: str | None = None,
) -> None:
    """A token for a LiveKit room. A public agent's needs no key."""
    workspace_id = caller.id if caller else await workspace_of_agent(services.pool, agent_id)
    if workspace_id is None:
        raise NeedsAuthorization
    agent = await get(services.pool, workspace_id, agent_id, branch_id=branch_id, version_id=version_id)
    if caller is None and agent.version.platform_settings.auth.enable_auth:
        raise NeedsAuthorization
    raise NoRooms
