"""Is a number able to work, and its token alive? Asked at import, at start and daily.

Webhooks keep arriving while a token is dead, so that a silent agent would be the only symptom (Meta: Access tokens).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from greenline.channels.whatsapp.account_findings import (
    PERMISSION_MISSING,
    TOKEN_EXPIRED,
    Finding,
    number_findings,
    token_findings,
    webhook_findings,
)
from greenline.channels.whatsapp.graph import GraphClient
from greenline.channels.whatsapp.graph_errors import ADVICE, GraphError, Outcome
from greenline.channels.whatsapp.graph_token import NumberToken, Token, TokenDied, open_token
from greenline.clock import Clock
from greenline.errors import GreenlineError
from greenline.settings import Settings
from greenline.store.outage import DATABASE_ERRORS
from greenline.store.pool import Pool, Record
from greenline.store.rounds import Rounds
from greenline.store.sql import load_sql
from greenline.store.vault import Vault
from greenline.text import clean_data

log = structlog.get_logger(__name__)

FRESH: Final = timedelta(minutes=10)
"""At start a number is passed over that another replica, or the process before a crash, checked just now."""
INTERVAL: Final = timedelta(days=1)
LOOK_SECONDS: Final = 600.0
"""How often the watch looks for numbers whose day is over."""
_PER_CLAIM: Final = 20

_sql = load_sql(__package__, "accounts.sql")


@dataclass(frozen=True, slots=True)
class Checked:
    """What Meta says of a number."""

    number: Mapping[str, Any] = field(repr=False)
    findings: tuple[Finding, ...]


async def inspect_number(
    graph: GraphClient, settings: Settings, phone_number_id: str, token: Token, now: datetime
) -> Checked:
    """Read the number and, where the app's credentials are set, what Meta knows of the token.

    Raises `GraphError`, with ``token_dead`` for a token that is not valid any more.
    """
    findings: list[Finding] = []
    if graph.knows_app:
        findings += await _inspect_token(graph, token, now)
    number = await graph.phone_number(phone_number_id, token)
    findings += number_findings(number)
    findings += webhook_findings(number, settings.public_url, has_app_secret=bool(settings.meta_app_secret))
    return Checked(number, tuple(findings))


def throughput_level(number: Mapping[str, Any]) -> str | None:
    """What Meta says of a number's throughput: STANDARD or HIGH; None where it says nothing that is known."""
    throughput = number.get("throughput")
    level = throughput.get("level") if isinstance(throughput, Mapping) else None
    return level if level in ("STANDARD", "HIGH") else None


async def subscribe(
    graph: GraphClient, business_account_id: str, token: Token, *, again: bool
) -> tuple[Finding, ...]:
    """Subscribe the app to the webhooks of a business account, also if it seems to be (``again``).

    Without the subscription no message arrives: a token that may not subscribe is a finding. Raises `GraphError`
    for a dead token and where Meta could not be asked.
    """
    try:
        if again or not await graph.is_subscribed(business_account_id, token):
            await graph.subscribe_app(business_account_id, token)
            log.info("account.subscribed", business_account_id=business_account_id)
        if await graph.is_subscribed(business_account_id, token):
            return ()
        reason = "Meta does not list it among the subscribed apps."
    except GraphError as error:
        if error.code == 190 or error.outcome is not Outcome.PERMANENT:
            raise
        reason = f"Meta's answer: {error}."
    return (Finding("app_not_subscribed", f"No messages will arrive: the app is not subscribed. {reason}"),)


async def _inspect_token(graph: GraphClient, token: Token, now: datetime) -> list[Finding]:
    try:
        known = await graph.debug_token(token)
    except GraphError as error:
        if error.token_expired:  # it is the app's own, made of its id and secret
            return [
                Finding(
                    "app_not_known",
                    "Meta does not take GREENLINE_META_APP_ID with GREENLINE_META_APP_SECRET. With a wrong secret "
                    "every webhook is refused: compare both with the app dashboard.",
                )
            ]
        return [Finding("token_not_checked", f"Check GREENLINE_META_APP_ID and GREENLINE_META_APP_SECRET: {error}.")]
    if known.get("is_valid") is False:
        raise GraphError("The token is not valid", outcome=Outcome.PERMANENT, code=190, http_status=401)
    return list(token_findings(known, now))


async def mark_token_expired(pool: Pool, token: NumberToken, now: datetime) -> None:
    """Show that the token of a number is dead, until the number is imported again. Logged once, as an alarm.

    Nothing happens where another token has taken the place of the dead one.
    """
    number = (token.workspace_id, token.phone_number_id)
    marked = await pool.fetchval(_sql["mark_token_expired"], *number, token.sealed, now, TOKEN_EXPIRED, ADVICE[190])
    if marked is not None:
        log.error("account.token_expired", workspace_id=token.workspace_id, phone_number_id=token.phone_number_id)


async def note_refusal(pool: Pool, token: NumberToken, error: GraphError, now: datetime) -> None:
    """Show why Meta did not take the token of a number: it is dead, or lacks a permission that it may get back."""
    if error.token_dead:
        await mark_token_expired(pool, token, now)
        return
    text = f"Meta's answer: {str(error).rstrip('.')}. {ADVICE[10]} What waits is sent then."
    number = (token.workspace_id, token.phone_number_id)
    await pool.execute(_sql["add_finding"], *number, token.sealed, PERMISSION_MISSING, clean_data(text))
    log.error("account.permission_missing", phone_number_id=token.phone_number_id, code=error.code)


def token_alarm(pool: Pool, clock: Clock) -> TokenDied:
    """What the clients of the Graph API tell of dead tokens, whatever they were used for."""

    async def ring(token: NumberToken) -> None:
        try:
            await mark_token_expired(pool, token, clock.now())
        except DATABASE_ERRORS as error:  # what met the token fails by itself; the next one tells again
            log.warning("account.token_not_marked", phone_number_id=token.phone_number_id, error=str(error))

    return ring


class TokenWatch(Rounds):
    """Checks the tokens of all workspaces. Replicas share the work."""

    def __init__(self, pool: Pool, graph: GraphClient, vault: Vault, clock: Clock, settings: Settings) -> None:
        super().__init__(clock, "tokens", LOOK_SECONDS)
        self._pool = pool
        self._graph = graph
        self._vault = vault
        self._settings = settings
        self._age = FRESH

    async def round(self) -> bool:
        """Check every number when the process begins, and then daily."""
        await self.check_all(self._age)
        self._age = INTERVAL
        return False

    async def check_all(self, age: timedelta) -> int:
        """Check the numbers whose last check is older than ``age``; returns how many.

        Numbers of which Meta did not answer are due again at the next look.
        """
        checked, unanswered = 0, list[str]()
        while True:
            now = self._clock.now()
            rows = await self._pool.fetch(_sql["claim_checks"], now, now - age, _PER_CLAIM, unanswered)
            for row in rows:
                if not await self._check(row):
                    unanswered.append(row["phone_number_id"])
            checked += len(rows)
            if not rows:
                return checked

    async def _check(self, row: Record) -> bool:
        """Whether the check is made for today: not if Meta did not answer it."""
        workspace_id, phone_number_id = row["workspace_id"], row["phone_number_id"]
        now = self._clock.now()
        try:
            token = open_token(self._vault, workspace_id, phone_number_id, row["token"])
        except GreenlineError as error:  # the vault has another key
            log.error("account.check_failed", phone_number_id=phone_number_id, error=error.message)
            return True
        try:
            subscription = await subscribe(self._graph, row["business_account_id"], token, again=False)
            checked = await inspect_number(self._graph, self._settings, phone_number_id, token, now)
        except GraphError as error:
            log.warning("account.check_failed", phone_number_id=phone_number_id, code=error.code, error=str(error))
            if error.token_dead or error.lacks_permission:
                await note_refusal(self._pool, token, error, now)
            answered = error.outcome is Outcome.PERMANENT
            if not answered:
                await self._pool.execute(_sql["check_again"], workspace_id, phone_number_id, row["token"])
            return answered
        findings = [asdict(finding) for finding in (*subscription, *checked.findings)]
        name = checked.number.get("verified_name")
        await self._pool.execute(
            _sql["save_check"],
            workspace_id,
            phone_number_id,
            row["token"],
            clean_data(findings),
            clean_data(name) if isinstance(name, str) else None,
            throughput_level(checked.number),
        )
        return True
