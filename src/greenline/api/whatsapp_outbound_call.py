"""Business-started calls over HTTP (reference: WhatsApp, outbound call)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from greenline.agents.initiation import InitiationData
from greenline.api.deps import Caller, Services
from greenline.channels.whatsapp.calls.outbound import CallStarter, OutboundCall
from greenline.channels.whatsapp.templates import Templates

router = APIRouter(prefix="/v1/convai/whatsapp", tags=["WhatsApp"])


class OutboundCallBody(BaseModel):
    """A person to call, the agent that speaks, and how the person is asked for permission if there is none."""

    whatsapp_phone_number_id: str
    whatsapp_user_id: Annotated[
        str, Field(description="Digits only, country code first, or a business-scoped user id of Meta's.")
    ]
    whatsapp_call_permission_request_template_name: Annotated[str, Field(min_length=1, max_length=512)]
    whatsapp_call_permission_request_template_language_code: Annotated[str, Field(min_length=1, max_length=20)]
    agent_id: str
    conversation_initiation_client_data: InitiationData | None = None


class OutboundCallStarted(BaseModel):
    """The call will be made, or the person asked first; the conversation tells what becomes of it."""

    success: bool
    message: str
    conversation_id: str | None


@router.post("/outbound-call")
async def start_outbound_call(body: OutboundCallBody, services: Services, workspace: Caller) -> OutboundCallStarted:
    """Call a person, as soon as they have agreed to be called. 200 means accepted, not answered."""
    templates = Templates(services.pool, services.graph, services.vault, services.clock, services.settings)
    request = OutboundCall(
        phone_number_id=body.whatsapp_phone_number_id,
        user_id=body.whatsapp_user_id,
        template_name=body.whatsapp_call_permission_request_template_name,
        template_language=body.whatsapp_call_permission_request_template_language_code,
        agent_id=body.agent_id,
        initiation=body.conversation_initiation_client_data,
    )
    starter = CallStarter(services.pool, services.graph, services.vault, templates, services.clock, services.settings)
    conversation_id = await starter.start(workspace.id, request)
    message = "The call is placed as soon as the person's permission is there."
    return OutboundCallStarted(success=True, message=message, conversation_id=conversation_id)
