"""What can be done with WhatsApp accounts: import, read, change, delete."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import datetime
from typing import Final

import asyncpg
import structlog

from greenline.agents.models import AgentNotFound
from greenline.channels.whatsapp.account_checks import Checked, inspect_number, subscribe, throughput_level
from greenline.channels.whatsapp.account_events import apply_account_event
from greenline.channels.whatsapp.account_findings import Finding
from greenline.channels.whatsapp.account_models import (
    Account,
    AccountChanges,
    AccountImport,
    AccountNotFound,
    NumberOfAnotherAccount,
    NumberTaken,
    from_meta,
)
from greenline.channels.whatsapp.delivery import Fact, raise_states
from greenline.channels.whatsapp.graph import GraphClient
from greenline.channels.whatsapp.graph_errors import GraphError
from greenline.channels.whatsapp.recipient import to_e164
from greenline.clock import Clock
from greenline.errors import BadRequest
from greenline.settings import Settings
from greenline.store.batch import despite_conflicts
from greenline.store.pool import Connection, Pool, Record
from greenline.store.sql import load_sql
from greenline.store.vault import SecretUnreadable, Vault
from greenline.text import clean_data, clean_text

__all__ = ["Accounts", "apply_account_event", "get_account", "list_accounts"]

log = structlog.get_logger(__name__)

REMOVED: Final = "The WhatsApp account was removed"
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,4096}")

_sql = load_sql(__package__, "accounts.sql")


class UnreadableToken(BadRequest):
    """An access token consists of visible ASCII characters without spaces. Copy it again."""

    code = "invalid_access_token"


class AppUnknown(BadRequest):
    """A token_code needs GREENLINE_META_APP_ID and GREENLINE_META_APP_SECRET. Set them, or send an access_token."""

    code = "meta_app_not_configured"


async def list_accounts(pool: Pool, workspace_id: str, agent_id: str | None = None) -> list[Account]:
    """The numbers of a workspace, or of one agent, oldest first."""
    return [_account(row) for row in await pool.fetch(_sql["list"], workspace_id, agent_id)]


async def get_account(pool: Pool, workspace_id: str, phone_number_id: str) -> Account:
    """A number of the workspace. Raises `AccountNotFound`."""
    row = await pool.fetchrow(_sql["get"], workspace_id, phone_number_id)
    if row is None:
        raise AccountNotFound
    return _account(row)


class Accounts:
    """Changes of accounts, which need Meta and the vault."""

    def __init__(self, pool: Pool, graph: GraphClient, vault: Vault, clock: Clock, settings: Settings) -> None:
        self._pool = pool
        self._graph = graph
        self._vault = vault
        self._clock = clock
        self._settings = settings

    async def import_number(self, workspace_id: str, wanted: AccountImport) -> Account:
        """Connect a number, or give one of the workspace a new token; its agent and switches stay.

        Raises `NumberTaken`, `NumberOfAnotherAccount`, `UnreadableToken`, `AppUnknown`
        and the errors of `from_meta`.
        """
        owner = await self._pool.fetchval(_sql["owner"], wanted.phone_number_id)
        if owner not in (None, workspace_id):
            raise NumberTaken
        try:
            token = await self._token(wanted)
            business = await self._graph.business_account(wanted.business_account_id, token)
            await self._check_belongs(wanted, token)
            subscription = await subscribe(self._graph, wanted.business_account_id, token, again=True)
            checked = await inspect_number(
                self._graph, self._settings, wanted.phone_number_id, token, self._clock.now()
            )
        except GraphError as error:
            raise from_meta(error) from error
        findings = (*subscription, *checked.findings)
        # It meets the sender, and turns of the number's chats, on the rows of both.
        name = str(business.get("name") or "")
        await despite_conflicts(lambda: self._save(workspace_id, wanted, token, name, checked, findings))
        # The last number of the account that was there before may have been removed meanwhile, and the app with it.
        await self._stay_subscribed(wanted.business_account_id, token)
        for finding in findings:
            log.warning("account.finding", phone_number_id=wanted.phone_number_id, code=finding.code)
        return await get_account(self._pool, workspace_id, wanted.phone_number_id)

    async def update(self, workspace_id: str, phone_number_id: str, changes: AccountChanges) -> None:
        """Apply changes. Raises `AccountNotFound`, or `greenline.agents.models.AgentNotFound` for the agent."""
        agent_id = changes.assigned_agent_id
        if agent_id is not None and not await self._pool.fetchval(_sql["agent_exists"], workspace_id, agent_id):
            raise AgentNotFound
        try:
            updated = await self._pool.fetchval(
                _sql["update"],
                workspace_id,
                phone_number_id,
                changes.changes_agent,
                agent_id,
                changes.enable_messaging,
                changes.enable_audio_message_response,
                changes.enable_typing_indicator,
                self._clock.now(),
            )
        except asyncpg.ForeignKeyViolationError:  # deleted since it was looked up
            raise AgentNotFound from None
        if updated is None:
            raise AccountNotFound

    async def delete(self, workspace_id: str, phone_number_id: str) -> None:
        """Remove a number. Its calls end, its conversations end and stay; what was not sent fails.

        Raises `AccountNotFound`.

        With the last number of a business account the app stops getting its webhooks.
        """
        row = await despite_conflicts(lambda: self._remove(workspace_id, phone_number_id))
        business_account_id = row["business_account_id"]
        if await self._has_numbers(business_account_id):
            return
        try:
            token = self._vault.open(row["token"], phone_number_id)
        except SecretUnreadable as error:  # the number is gone here all the same
            log.warning("account.not_unsubscribed", phone_number_id=phone_number_id, error=str(error))
            return
        try:
            await self._graph.unsubscribe_app(business_account_id, token)
        except GraphError as error:
            log.warning("account.not_unsubscribed", phone_number_id=phone_number_id, error=str(error))
        if await self._has_numbers(business_account_id):  # imported since we looked
            await self._stay_subscribed(business_account_id, token)

    async def _has_numbers(self, business_account_id: str) -> bool:
        return bool(await self._pool.fetchval(_sql["others_of_business_account"], business_account_id))

    async def _stay_subscribed(self, business_account_id: str, token: str) -> None:
        """Undo what a removal of another number did meanwhile. What fails is tried again by the daily check."""
        try:
            await subscribe(self._graph, business_account_id, token, again=False)
        except GraphError as error:
            log.warning("account.subscription_unknown", business_account_id=business_account_id, error=str(error))

    async def _token(self, wanted: AccountImport) -> str:
        if wanted.access_token is None and not self._graph.knows_app:
            raise AppUnknown
        token = wanted.access_token or await self._graph.exchange_code(wanted.token_code or "")
        if not _TOKEN.fullmatch(token):
            raise UnreadableToken
        return token

    async def _check_belongs(self, wanted: AccountImport, token: str) -> None:
        numbers = await self._graph.phone_numbers(wanted.business_account_id, token)
        if all(number.get("id") != wanted.phone_number_id for number in numbers):
            raise NumberOfAnotherAccount

    async def _save(
        self,
        workspace_id: str,
        wanted: AccountImport,
        token: str,
        business_name: str,
        checked: Checked,
        findings: tuple[Finding, ...],
    ) -> None:
        number, now = wanted.phone_number_id, self._clock.now()
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(_sql["ring_sender"], workspace_id, number, now)
            saved = await connection.fetchval(
                _sql["save"],
                number,
                workspace_id,
                wanted.business_account_id,
                clean_text(business_name),
                clean_text(str(checked.number.get("verified_name") or "")),
                to_e164(str(checked.number.get("display_phone_number") or "")),
                wanted.account_type,
                self._vault.seal(token, number),
                clean_data([asdict(finding) for finding in findings]),
                now,
                throughput_level(checked.number),
            )
            if saved is None:
                raise NumberTaken

    async def _remove(self, workspace_id: str, phone_number_id: str) -> Record:
        number, now = (workspace_id, phone_number_id), self._clock.now()
        async with self._pool.acquire() as connection, connection.transaction():
            mailboxes = await connection.fetch(_sql["lock_mailboxes"], *number)
            await self._fail_unsent(connection, workspace_id, phone_number_id, now)
            await connection.execute(_sql["end_calls"], *number, now, {"command": "end_call", "text": REMOVED})
            await connection.execute(_sql["end_conversations"], *number, now, {"reason": REMOVED})
            await connection.execute(_sql["end_inbox"], *number, now)
            await connection.execute(_sql["drop_steps"], *number)
            row = await connection.fetchrow(_sql["delete"], *number)
            if row is None:
                raise AccountNotFound
            await connection.execute(_sql["forget_people"], phone_number_id)
            ids = [mailbox["id"] for mailbox in mailboxes] + [f"sender:{phone_number_id}"]
            await connection.execute(_sql["drop_mailboxes"], workspace_id, ids)
        return row

    async def _fail_unsent(
        self, connection: Connection, workspace_id: str, phone_number_id: str, now: datetime
    ) -> None:
        rows = await connection.fetch(_sql["unsent"], workspace_id, phone_number_id)
        error = {"code": None, "title": REMOVED, "details": None}
        await raise_states(connection, [Fact(row["id"], "failed", now, error=error) for row in rows], now)


def _account(row: Record) -> Account:
    return Account(
        workspace_id=row["workspace_id"],
        phone_number_id=row["phone_number_id"],
        business_account_id=row["business_account_id"],
        business_account_name=row["business_account_name"],
        phone_number_name=row["phone_number_name"],
        phone_number=row["phone_number"],
        account_type=row["account_type"],
        assigned_agent_id=row["assigned_agent_id"],
        assigned_agent_name=row["assigned_agent_name"],
        enable_messaging=row["enable_messaging"],
        enable_audio_message_response=row["enable_audio_message_response"],
        enable_typing_indicator=row["enable_typing_indicator"],
        is_token_expired=row["is_token_expired"],
        findings=tuple(Finding(item["code"], item["message"]) for item in row["findings"]),
        sealed_token=row["token"],
    )
