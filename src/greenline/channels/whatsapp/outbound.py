"""Conversations that the business starts: a template goes out, the agent waits for the reply.

Everything is checked before anything is written, and everything is written in one transaction; the sender does
the rest. The reply finds the conversation by whatever id Meta gives the person: the one that was asked for, its
aliases, and later the one in Meta's answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from greenline.agents.initiation import InitiationData
from greenline.agents.lookup import environment_variables, seal_secrets
from greenline.agents.models import AgentVersion
from greenline.agents.overrides import check_start
from greenline.agents.service import live_version
from greenline.agents.variables import check_supplied, shown
from greenline.channels.whatsapp.account_models import Account, TokenExpired
from greenline.channels.whatsapp.accounts import get_account
from greenline.channels.whatsapp.answer import SOURCE, configured, parties
from greenline.channels.whatsapp.people import open_chat
from greenline.channels.whatsapp.recipient import check_recipient, is_bsuid
from greenline.channels.whatsapp.template_fill import Filled
from greenline.channels.whatsapp.template_models import Template
from greenline.channels.whatsapp.template_params import TemplateComponent
from greenline.channels.whatsapp.templates import Templates
from greenline.clock import Clock
from greenline.conversations.events import AgentMessage, Event, Started, dump_event
from greenline.conversations.projection import Projection, fold
from greenline.engine.system_variables import at_start
from greenline.errors import BadRequest
from greenline.ids import new_id
from greenline.store.batch import despite_conflicts
from greenline.store.mailbox import ring
from greenline.store.pool import Connection, Pool
from greenline.store.sql import load_sql
from greenline.store.vault import Vault
from greenline.workspaces.environments import PRODUCTION, check_environment

log = structlog.get_logger(__name__)

MARKETING_STOPPED: Final = 131050  # Meta: the person stopped marketing messages

_sql = load_sql(__package__, "outbound.sql")


class MarketingStopped(BadRequest):
    """The person has stopped marketing messages of this number. A utility template still reaches them."""

    code = "marketing_stopped"


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """What the business asks for."""

    phone_number_id: str
    user_id: str = field(repr=False)
    template_name: str
    template_language: str
    template_params: Sequence[TemplateComponent] = field(repr=False)
    agent_id: str
    initiation: InitiationData = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Everything that was checked, ready to be written."""

    account: Account
    version: AgentVersion
    template: Template
    filled: Filled
    request: OutboundMessage


async def start_outbound(
    pool: Pool, vault: Vault, templates: Templates, clock: Clock, workspace_id: str, request: OutboundMessage
) -> str:
    """Start a conversation with a template; returns its id. The template is sent after the transaction.

    Raises, before anything is sent or kept: `AccountNotFound`, `TokenExpired`, `InvalidRecipient`, `AgentNotFound`,
    `BranchNotFound`, `EnvironmentNotFound`, `OverrideNotAllowed`, `MissingVariables`, `SecretVariable`,
    `MarketingStopped` and the errors of `Templates.fill`.
    """
    check_recipient(request.user_id)
    account = await get_account(pool, workspace_id, request.phone_number_id)
    version = await startable_version(pool, workspace_id, request.agent_id, request.initiation)
    if account.is_token_expired:
        raise TokenExpired
    template, filled = await templates.fill(
        account, request.template_name, request.template_language, request.template_params
    )
    plan = _Plan(account, version, template, filled, request)
    # It meets the sender, and turns of the person's chat, on the rows of both.
    conversation_id = await despite_conflicts(lambda: _write(pool, vault, clock, plan))
    log.info("outbound.started", conversation_id=conversation_id, template=template.name)
    return conversation_id


async def startable_version(pool: Pool, workspace_id: str, agent_id: str, start: InitiationData) -> AgentVersion:
    """The agent that a conversation of the business begins with, its start data checked.

    Raises `AgentNotFound`, `BranchNotFound`, `EnvironmentNotFound`, `OverrideNotAllowed`, `MissingVariables` or
    `SecretVariable`.
    """
    await check_environment(pool, workspace_id, start.environment)
    version = await live_version(pool, workspace_id, agent_id, branch_id=start.branch_id)
    check_start(start, version.platform_settings.overrides, version.conversation_config)
    # What the reply would fail on must not wait for it.
    check_supplied(configured(version, start.stored()), start.dynamic_variables)
    return version


async def _write(pool: Pool, vault: Vault, clock: Clock, plan: _Plan) -> str:
    now, account, request = clock.now(), plan.account, plan.request
    outbox_id = new_id("out")
    components = plan.filled.components
    named = {"name": plan.template.name, "language": plan.template.language, "components": components}
    async with pool.acquire() as connection, connection.transaction():
        chat_id = await _chat(connection, clock, plan)
        conversation = Projection(
            id=new_id("conv"),
            workspace_id=account.workspace_id,
            agent_id=plan.version.agent_id,
            branch_id=plan.version.branch_id,
            version_id=plan.version.id,
            source=SOURCE,
            started_at=now,
            environment=request.initiation.environment or PRODUCTION,
            direction="outbound",
            chat_id=chat_id,
            phone_number_id=account.phone_number_id,
            user_id=request.initiation.user_id or request.user_id,
            authorization_method="whatsapp",
            initiation=request.initiation.stored(),
            main_language=configured(plan.version, request.initiation.stored()).agent.language,
            awaiting_first_user_message=True,
        )
        said = AgentMessage(
            id=new_id("msg"), text=plan.filled.text, origin="template", outbox_ids=(outbox_id,), template=named
        )
        started = await started_by_business(
            connection, vault, conversation, plan.version, request.initiation, request.user_id
        )
        events: list[Event] = [started, said]
        await connection.execute(
            _sql["begin"],
            account.workspace_id,
            fold(conversation, events, now).columns(),
            [{"kind": event.kind, "data": dump_event(event)} for event in events],
            now,
        )
        await connection.execute(
            _sql["queue"],
            account.workspace_id,
            outbox_id,
            account.phone_number_id,
            chat_id,
            conversation.id,
            "template",
            _graph_message(plan),
            now,
        )
        await ring(
            connection,
            mailbox_id=f"sender:{account.phone_number_id}",
            workspace_id=account.workspace_id,
            kind="sender",
            due_at=now,
        )
    return conversation.id


async def _chat(connection: Connection, clock: Clock, plan: _Plan) -> str:
    """The id of the person's chat, which is made if there is none. Raises `MarketingStopped`."""
    account, user_id = plan.account, plan.request.user_id
    wa_id, bsuid = (None, user_id) if is_bsuid(user_id) else (user_id, None)
    chat_id, stopped = await open_chat(
        connection, account.workspace_id, account.phone_number_id, wa_id=wa_id, bsuid=bsuid, now=clock.now()
    )
    if stopped and plan.template.category == "MARKETING":
        raise MarketingStopped(meta_code=MARKETING_STOPPED)
    return chat_id


async def started_by_business(
    connection: Connection,
    vault: Vault,
    conversation: Projection,
    version: AgentVersion,
    start: InitiationData,
    recipient: str,
) -> Started:
    """The first event of a conversation that the business begins with ``recipient``."""
    config = configured(version, start.stored())
    environment = await environment_variables(
        connection, vault, conversation.workspace_id, conversation.environment, config
    )
    conversation_id, text_only, now = conversation.id, conversation.text_only, conversation.started_at
    return Started(
        agent_id=version.agent_id,
        branch_id=version.branch_id,
        version_id=version.id,
        environment=conversation.environment,
        source=SOURCE,
        direction="outbound",
        text_only=conversation.text_only,
        user_id=conversation.user_id,
        variables={
            **shown(start.dynamic_variables),
            **environment,
            **at_start(version, config, conversation_id=conversation_id, text_only=text_only, now=now),
            **parties(conversation.phone_number_id or "", recipient, inbound=False),
        },
        sealed_variables=seal_secrets(vault, conversation.id, start.dynamic_variables),
        override=start.stored().get("conversation_config_override", {}),
    )


def _graph_message(plan: _Plan) -> dict[str, Any]:
    template: dict[str, Any] = {"name": plan.template.name, "language": {"code": plan.template.language}}
    if plan.filled.components:
        template["components"] = plan.filled.components
    return {"type": "template", "template": template}
