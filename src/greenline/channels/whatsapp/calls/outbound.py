"""Calls that the business makes: checked and written down here, made by whoever claims the call's mailbox.

Whether the person must be asked first is Meta's to say, and asked when the call is about to be made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import structlog

from greenline.agents.initiation import InitiationData
from greenline.agents.models import AgentVersion
from greenline.agents.service import live_version
from greenline.channels.limits import check_call
from greenline.channels.whatsapp.account_findings import calling_findings, calls_restricted
from greenline.channels.whatsapp.account_models import Account, TokenExpired
from greenline.channels.whatsapp.accounts import get_account
from greenline.channels.whatsapp.answer import SOURCE, configured
from greenline.channels.whatsapp.calls.machine import Phase
from greenline.channels.whatsapp.calls.store import CallRow, insert_call, new_call_id, sql
from greenline.channels.whatsapp.graph import GraphClient
from greenline.channels.whatsapp.graph_errors import GraphError
from greenline.channels.whatsapp.graph_token import open_token
from greenline.channels.whatsapp.outbound import MarketingStopped, startable_version, started_by_business
from greenline.channels.whatsapp.pacing import WINDOW
from greenline.channels.whatsapp.people import open_chat
from greenline.channels.whatsapp.recipient import check_recipient, is_bsuid
from greenline.channels.whatsapp.template_fill import Filled
from greenline.channels.whatsapp.template_models import Template, TemplateUnusable
from greenline.channels.whatsapp.templates import Templates
from greenline.clock import Clock
from greenline.conversations.events import Event, Noted, dump_event
from greenline.conversations.projection import Projection, fold
from greenline.errors import BadRequest, Conflict
from greenline.ids import new_id
from greenline.settings import Settings
from greenline.store.batch import despite_conflicts
from greenline.store.mailbox import ring
from greenline.store.pool import Connection, Pool
from greenline.store.sql import load_sql
from greenline.store.vault import Vault
from greenline.tools.initiation_webhook import NewConversation, StartData
from greenline.workspaces.environments import PRODUCTION

log = structlog.get_logger(__name__)

REQUEST_NAME: Final = "call_permission_request"  # Meta: interactive type and action name

_outbound = load_sql("greenline.channels.whatsapp", "outbound.sql")


class CallUnderWay(Conflict):
    """A call to this person is on its way already, or waits for their permission. It must end before the next one."""

    code = "call_under_way"


class NoTemplate(BadRequest):
    """Only an approved template can ask this person for the permission to call now. Name one with the component
    CALL_PERMISSION_REQUEST; GREENLINE_CALL_PERMISSION_TEXT asks those who have written within a day.
    """

    code = "call_permission_template_needed"


class CallsOff(BadRequest):
    """The number can't make calls: see its calling settings in WhatsApp Manager."""

    code = "calls_off"


class NoOutboundCalls(BadRequest):
    """An agent in zero-retention mode can't make calls: the permission of the person has to be kept."""

    code = "zero_retention_mode"


@dataclass(frozen=True, slots=True)
class OutboundCall:
    """What the business asks for. Without a template only a person who has just written can be asked.

    Without start data the webhook of the agent is asked for it.
    """

    phone_number_id: str
    user_id: str = field(repr=False)
    agent_id: str
    template_name: str | None = None
    template_language: str = ""
    initiation: InitiationData | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Everything that was checked, ready to be written."""

    account: Account
    version: AgentVersion
    template: tuple[Template, Filled] | None
    request: OutboundCall
    conversation_id: str
    start: InitiationData = field(repr=False)
    notes: tuple[Noted, ...] = ()


class CallStarter:
    """Starts calls of the business."""

    def __init__(
        self, pool: Pool, graph: GraphClient, vault: Vault, templates: Templates, clock: Clock, settings: Settings
    ) -> None:
        self._pool = pool
        self._graph = graph
        self._vault = vault
        self._templates = templates
        self._clock = clock
        self._text = settings.call_permission_text
        self._start_data = StartData(pool, vault, settings)

    async def start(self, workspace_id: str, request: OutboundCall) -> str:
        """Write down a call that is to be made; returns the id of its conversation.

        Raises, before anything is kept: `AccountNotFound`, `TokenExpired`, `InvalidRecipient`, `NoOutboundCalls`,
        `CallsOff`, `CallUnderWay`, `NoTemplate`, `MarketingStopped`, and the errors of `startable_version`,
        `check_call` and `Templates.fill`.
        """
        check_recipient(request.user_id)
        account = await get_account(self._pool, workspace_id, request.phone_number_id)
        version = await self._version(workspace_id, request)
        if version.platform_settings.privacy.zero_retention_mode:
            raise NoOutboundCalls
        if account.is_token_expired:
            raise TokenExpired
        await check_call(self._pool, workspace_id, version, self._clock.now())
        template = await self._template(account, request)
        await self._check_calling(account)
        conversation_id, start = new_id("conv"), request.initiation
        notes: tuple[Noted, ...] = ()
        if start is None:
            new = NewConversation(version, workspace_id, conversation_id, request.phone_number_id, request.user_id)
            brought = await self._start_data.ask(new)
            start, notes = brought.data, brought.notes
            version = await startable_version(self._pool, workspace_id, request.agent_id, start)
        plan = _Plan(account, version, template, request, conversation_id, start, notes)
        row = await despite_conflicts(lambda: self._write_all(plan))
        log.info("call.requested", call_id=row.id, conversation_id=row.conversation_id)
        return str(row.conversation_id)

    async def _write_all(self, plan: _Plan) -> CallRow:
        async with self._pool.acquire() as connection, connection.transaction():
            return await self._write(connection, plan, self._clock.now())

    async def _version(self, workspace_id: str, request: OutboundCall) -> AgentVersion:
        """The agent; whether it can begin is known once there is start data."""
        if request.initiation is None:
            return await live_version(self._pool, workspace_id, request.agent_id)
        return await startable_version(self._pool, workspace_id, request.agent_id, request.initiation)

    async def _check_calling(self, account: Account) -> None:
        """Refuse before the person is asked for a permission that could not be used: Meta charges the question.

        Where Meta does not tell, the call is tried.
        """
        token = open_token(self._vault, account.workspace_id, account.phone_number_id, account.sealed_token)
        try:
            calling = await self._graph.calling_settings(account.phone_number_id, token)
        except GraphError as error:
            log.info("call.settings_unknown", phone_number_id=account.phone_number_id, meta_code=error.code)
            return
        for finding in calling_findings(calling):
            raise CallsOff(finding.message)
        restriction = calls_restricted(calling, self._clock.now())
        if restriction is not None:
            raise CallsOff(restriction)

    async def _template(self, account: Account, request: OutboundCall) -> tuple[Template, Filled] | None:
        name, language = request.template_name, request.template_language
        if name is None:
            return None
        template, filled = await self._templates.fill(account, name, language, ())
        if not template.asks_to_call:
            raise TemplateUnusable(f"The template {name} ({language}) lacks the component CALL_PERMISSION_REQUEST.")
        return template, filled

    async def _write(self, connection: Connection, plan: _Plan, now: datetime) -> CallRow:
        account, request = plan.account, plan.request
        wa_id, bsuid = (None, request.user_id) if is_bsuid(request.user_id) else (request.user_id, None)
        chat_id, stopped = await open_chat(
            connection, account.workspace_id, account.phone_number_id, wa_id=wa_id, bsuid=bsuid, now=now
        )
        last_word = await connection.fetchval(sql["last_word"], account.workspace_id, chat_id)
        if await connection.fetchval(sql["waiting"], account.workspace_id, chat_id):
            raise CallUnderWay
        ask = self._ask(plan, window_open=last_word is not None and now - last_word < WINDOW)
        if stopped and "template" in ask and plan.template and plan.template[0].category == "MARKETING":
            raise MarketingStopped
        conversation = _conversation(plan, chat_id, now)
        version, start = plan.version, plan.start
        started = await started_by_business(connection, self._vault, conversation, version, start, request.user_id)
        events: list[Event] = [started, *plan.notes]
        await connection.execute(
            _outbound["begin"],
            account.workspace_id,
            fold(conversation, events, now).columns(),
            [{"kind": event.kind, "data": dump_event(event)} for event in events],
            now,
        )
        call_id = new_call_id()
        row = CallRow(
            id=call_id,
            workspace_id=account.workspace_id,
            phone_number_id=account.phone_number_id,
            chat_id=chat_id,
            mailbox_id=f"call:{call_id}",
            direction="outbound",
            phase=Phase.CHECKING.value,
            created_at=now,
            conversation_id=conversation.id,
            request=ask,
        )
        await insert_call(connection, row)
        await ring(connection, mailbox_id=row.mailbox_id, workspace_id=row.workspace_id, kind="call", due_at=now)
        return row

    def _ask(self, plan: _Plan, *, window_open: bool) -> dict[str, Any]:
        """How the person is asked: the Graph message, its text, and the template where it is one."""
        if self._text and window_open:
            interactive = {"type": REQUEST_NAME, "action": {"name": REQUEST_NAME}, "body": {"text": self._text}}
            return {"body": {"type": "interactive", "interactive": interactive}, "text": self._text}
        if plan.template is None:
            raise NoTemplate
        template, filled = plan.template
        named = {"name": template.name, "language": template.language, "components": []}
        graph = {"name": template.name, "language": {"code": template.language}}
        return {"body": {"type": "template", "template": graph}, "text": filled.text, "template": named}


def _conversation(plan: _Plan, chat_id: str, now: datetime) -> Projection:
    request = plan.request
    return Projection(
        id=plan.conversation_id,
        workspace_id=plan.account.workspace_id,
        agent_id=plan.version.agent_id,
        branch_id=plan.version.branch_id,
        version_id=plan.version.id,
        source=SOURCE,
        started_at=now,
        environment=plan.start.environment or PRODUCTION,
        text_only=False,
        direction="outbound",
        chat_id=chat_id,
        phone_number_id=plan.account.phone_number_id,
        user_id=plan.start.user_id or request.user_id,
        authorization_method="whatsapp",
        initiation=plan.start.stored(),
        main_language=configured(plan.version, plan.start.stored()).agent.language,
    )
