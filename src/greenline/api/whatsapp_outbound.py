"""Business-started messages over HTTP (reference: WhatsApp, outbound message)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from greenline.agents.initiation import InitiationData
from greenline.api.deps import Caller, Services
from greenline.channels.whatsapp.outbound import OutboundMessage, start_outbound
from greenline.channels.whatsapp.template_params import TemplateComponent
from greenline.channels.whatsapp.templates import Templates

router = APIRouter(prefix="/v1/convai/whatsapp", tags=["WhatsApp"])


class OutboundBody(BaseModel):
    """A template for a person, and the agent that will answer the reply."""

    whatsapp_phone_number_id: str
    whatsapp_user_id: Annotated[
        str, Field(description="Digits only, country code first, or a business-scoped user id of Meta's.")
    ]
    template_name: Annotated[str, Field(min_length=1, max_length=512)]
    template_language_code: Annotated[str, Field(min_length=1, max_length=20)]
    template_params: list[TemplateComponent]
    agent_id: str
    conversation_initiation_client_data: InitiationData | None = None


class OutboundStarted(BaseModel):
    """The template is accepted for sending; the conversation tells what becomes of it."""

    conversation_id: str


@router.post("/outbound-message")
async def send_outbound_message(body: OutboundBody, services: Services, workspace: Caller) -> OutboundStarted:
    """Start a conversation with an approved template. 200 means accepted, not delivered."""
    templates = Templates(services.pool, services.graph, services.vault, services.clock, services.settings)
    request = OutboundMessage(
        phone_number_id=body.whatsapp_phone_number_id,
        user_id=body.whatsapp_user_id,
        template_name=body.template_name,
        template_language=body.template_language_code,
        template_params=body.template_params,
        agent_id=body.agent_id,
        initiation=body.conversation_initiation_client_data or InitiationData(),
    )
    return OutboundStarted(
        conversation_id=await start_outbound(
            services.pool, services.vault, templates, services.clock, workspace.id, request
        )
    )
