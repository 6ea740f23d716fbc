"""How a client without a key gets to talk to an agent: signed URLs, room tokens (reference: Authentication)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from greenline.agents.service import get
from greenline.api.conversation_auth import AccessRefused, OptionalCaller
from greenline.api.deps import AppServices, Caller, Services
from greenline.channels.socket.access import Admission, Handshake, workspace_of_agent
from greenline.channels.socket.errors import Refused
from greenline.channels.socket.hosting import Arrival
from greenline.channels.socket.signing import Signature, seal, signed_url
from greenline.errors import NeedsAuthorization
from greenline.ids import new_id
from greenline.workspaces.environments import check_environment
from greenline.workspaces.models import Workspace

router = APIRouter(prefix="/v1/convai/conversation", tags=["Conversations"])


class SignedUrl(BaseModel):
    """Where a client connects."""

    signed_url: str


class RoomToken(BaseModel):
    """What a client joins a room by. The room is named by the conversation to come."""

    token: str
    conversation_id: str


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
    debug_events_request: bool = False,
) -> SignedUrl:
    """A URL under which a client without a key may start a conversation, within 15 minutes.

    With `include_conversation_id` it names the conversation to come, and works once. With `debug_events_request` its
    client is told where the server failed, if it does.
    """
    await get(services.pool, workspace.id, agent_id, branch_id=branch_id, version_id=version_id)
    await check_environment(services.pool, workspace.id, environment)
    reserved = new_id("conv") if include_conversation_id else None
    signature = Signature(workspace.id, agent_id, branch_id, version_id, environment, reserved, debug_events_request)
    base = services.settings.public_url or str(request.base_url)
    return SignedUrl(signed_url=signed_url(base, seal(services.vault, services.clock, signature), signature))


@router.get("/token")
async def get_token(
    request: Request,
    services: Services,
    caller: OptionalCaller,
    agent_id: str,
    participant_name: Annotated[str, Query(max_length=200, description="Shown to the others in the room.")] = "",
    branch_id: str | None = None,
    version_id: str | None = None,
    environment: str | None = None,
    source: str | None = None,
    version: str | None = None,
    conversation_signature: Annotated[str | None, Query(description="Of a signed URL, or a share token.")] = None,
) -> RoomToken:
    """A token for a room of the LiveKit server, in which the agent waits. A public agent's needs no key."""
    named = (agent_id, branch_id, version_id, environment)
    admission = await _admitted(request, services, caller, *named)
    invitation = await services.rooms.invite(Arrival(admission, source, version), participant_name)
    return RoomToken(token=invitation.token, conversation_id=invitation.conversation_id)


async def _admitted(
    request: Request,
    services: AppServices,
    caller: Workspace | None,
    agent_id: str,
    branch_id: str | None,
    version_id: str | None,
    environment: str | None,
) -> Admission:
    """As the agent's socket lets clients in.

    Raises `NeedsAuthorization`, `AccessRefused`, and what tells that something named is not there.
    """
    workspace_id = caller.id if caller else await workspace_of_agent(services.pool, agent_id)
    if workspace_id is None:
        raise NeedsAuthorization
    agent = await get(services.pool, workspace_id, agent_id, branch_id=branch_id, version_id=version_id)
    await check_environment(services.pool, workspace_id, environment)
    shown = caller is not None or "conversation_signature" in request.query_params
    if agent.version.platform_settings.auth.enable_auth and not shown:
        raise NeedsAuthorization
    try:
        admission = await services.sockets.gate.admit(Handshake(request.headers, request.query_params))
    except Refused as error:
        raise AccessRefused(error.reason) from error
    if admission.conversation_id is not None:
        raise AccessRefused("A signed URL with a conversation id works once, on the WebSocket.")
    return admission
