"""The handler of the mailboxes of kind ``call``: who calls, what is known of the call, and who goes on with it.

The claim is held as long as the call lives. What reaches another replica wakes the holder; if the holder's process
dies, its lease runs out, and whoever claims the call next ends it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

import structlog

from greenline.channels.whatsapp.calls.events import Offered, Orphaned
from greenline.channels.whatsapp.calls.figures import RUNNING
from greenline.channels.whatsapp.calls.machine import Phase
from greenline.channels.whatsapp.calls.permission import Permissions, TooOften
from greenline.channels.whatsapp.calls.run import CallParts, CallRun, reason_of
from greenline.channels.whatsapp.calls.settle import Settlement
from greenline.channels.whatsapp.calls.store import CallRow, Line, insert_call, new_call_id, open_window
from greenline.channels.whatsapp.calls.webhooks import CallNews, read_news
from greenline.channels.whatsapp.graph_errors import GraphError
from greenline.channels.whatsapp.graph_token import NumberToken, open_token
from greenline.channels.whatsapp.inbound import UNKNOWN_TIME
from greenline.channels.whatsapp.people import open_chat
from greenline.store.mailbox import Claim, ring
from greenline.store.pool import Pool
from greenline.store.vault import Vault

log = structlog.get_logger(__name__)

STRANGER_SECONDS: Final = 15.0
"""How long news of a call that nobody knows are kept: our own call's id is known when Meta has answered us."""
LOOK_AGAIN_SECONDS: Final = 0.25

SPARE_SHARE: Final = 10
"""One line in so many is kept for people who call: they can't wait, a call of the business can."""

NO_AGENT: Final = "No agent is assigned to the number."
NO_ROOM: Final = "All lines of the server are busy."
LEAVING: Final = "The server is shutting down."


class CallHandler:
    """Takes claimed calls. ``running`` are those that this process holds, by their mailboxes."""

    def __init__(
        self, pool: Pool, vault: Vault, parts: CallParts, permissions: Permissions, settlement: Settlement
    ) -> None:
        self.running: dict[str, Claim] = {}
        self._pool = pool
        self._vault = vault
        self._parts = parts
        self._permissions = permissions
        self._settlement = settlement

    @property
    def full(self) -> bool:
        """Whether no person can call."""
        return len(self.running) >= self._parts.settings.call_capacity

    async def handle(self, claim: Claim) -> None:
        """Go on with a call until it ends or has to wait, and give its mailbox back."""
        row = await self._parts.store.of_mailbox(claim)
        if row is None:
            row = await self._meet(claim)
        if row is None:
            return
        line = await self._parts.store.line(claim.workspace_id, row.phone_number_id, row.chat_id)
        if line is None:
            await self._drop(claim, "the account was removed")
        elif row.phase == Phase.ENDED.value:
            await self._settlement.late(claim, row, line, self._token(line))
        elif row.phase == Phase.NEW.value:
            await self._answer(claim, row, line)
        elif Phase(row.phase) in (Phase.CHECKING, Phase.ASKING, Phase.WAITING):
            if claim.closing:  # the next process makes the call
                now = self._parts.clock.now()
                await self._parts.mailboxes.release(claim, now, now)
                return
            await self._ask(claim, row, line)
        else:
            log.warning("call.orphaned", call_id=row.id, phase=row.phase)
            await self._run(claim, CallRun(self._parts, claim, row, line, self._token(line)), Orphaned())

    async def give_up(self, claim: Claim, error: BaseException) -> None:
        """After the last attempt: the call has ended as failed, and what its mailbox holds is done."""
        row = await self._parts.store.of_mailbox(claim)
        if row is not None and row.phase != Phase.ENDED.value:
            now = self._parts.clock.now()
            code, reason = row.error_code, f"{type(error).__name__}: {error}"
            if isinstance(error, GraphError):
                code, reason = error.code, reason_of(error)
            ended = replace(
                row,
                phase=Phase.ENDED.value,
                result="failed",
                reason=reason,
                error_code=code,
                ended_at=now,
                hang_up=row.hang_up or ("terminate" if row.wacid else None),
            )
            await self._parts.store.save(claim, ended, [item.id for item in claim.items], now)
            await self._settlement.settle(claim, ended)
            return
        await self._drop(claim, f"{type(error).__name__}: {error}")

    # A call that a person makes

    async def _meet(self, claim: Claim) -> CallRow | None:
        """The row of a call that is new to us; None when there is nothing to go on with now."""
        number = next((item.payload.get("phone_number_id") for item in claim.items), None)
        line = await self._parts.store.line(claim.workspace_id, str(number))
        if line is None:
            await self._drop(claim, "no account for this number")
            return None
        news = [read_news(item.payload, line.phone_number) for item in claim.items]
        offer = next((one for one in news if one.offer is not None), None)
        if offer is None or not (offer.wa_id or offer.bsuid):
            await self._stranger(claim, line, news)
            return None
        now = self._parts.clock.now()
        async with self._pool.acquire() as connection, connection.transaction():
            chat_id, _ = await open_chat(
                connection, claim.workspace_id, line.phone_number_id, wa_id=offer.wa_id, bsuid=offer.bsuid, now=now
            )
            row = CallRow(
                id=new_call_id(),
                workspace_id=claim.workspace_id,
                phone_number_id=line.phone_number_id,
                chat_id=chat_id,
                mailbox_id=claim.mailbox_id,
                direction="inbound",
                phase=Phase.NEW.value,
                wacid=offer.call_id,
                created_at=now,
            )
            await insert_call(connection, row)
            # A word of it may come late, or by a clock that is ahead of ours.
            await open_window(connection, row, now if offer.at == UNKNOWN_TIME else min(offer.at, now))
        return row

    async def _answer(self, claim: Claim, row: CallRow, line: Line) -> None:
        news = [read_news(item.payload, line.phone_number) for item in claim.items]
        offer = next((one.offer for one in news if one.offer is not None), None)
        run = CallRun(self._parts, claim, row, line, self._token(line))
        event = Orphaned() if offer is None else Offered(offer, self._refusal(claim, line))
        await self._run(claim, run, event)

    def _refusal(self, claim: Claim, line: Line) -> str | None:
        if claim.closing:
            return LEAVING
        if line.assigned_agent_id is None:
            return NO_AGENT
        return NO_ROOM if self.full else None

    async def _stranger(self, claim: Claim, line: Line, news: list[CallNews]) -> None:
        """News of a call that is not known here: of one of ours that Meta has just made, of other software's on the
        number, or of nobody's.
        """
        now = self._parts.clock.now()
        wacid = claim.mailbox_id.removeprefix("call:")
        callback = next((one.callback for one in news if one.callback), None)
        mailbox_id = await self._parts.store.mailbox_of(claim.workspace_id, wacid, callback)
        if mailbox_id is not None:
            async with self._pool.acquire() as connection, connection.transaction():
                await self._parts.store.forward(connection, claim, mailbox_id)
                await ring(
                    connection, mailbox_id=mailbox_id, workspace_id=claim.workspace_id, kind="call", due_at=now
                )
            await self._parts.mailboxes.release(claim, now)
            return
        oldest = min((item.received_at for item in claim.items), default=now)
        if now - oldest < timedelta(seconds=STRANGER_SECONDS):
            await self._parts.mailboxes.release(claim, now, now + timedelta(seconds=LOOK_AGAIN_SECONDS))
            return
        if not any(one.ends or one.is_status for one in news):
            await self._hang_up(line, wacid)
        await self._drop(claim, "no call of ours")

    async def _hang_up(self, line: Line, wacid: str) -> None:
        """A call whose maker died before it knew the call's id must not ring for ever."""
        try:
            await self._parts.graph.act(line.phone_number_id, self._token(line), "terminate", wacid)
        except GraphError as error:
            log.warning("call.stranger", wacid=wacid, error=str(error))

    # A call that the business makes

    async def _ask(self, claim: Claim, row: CallRow, line: Line) -> None:
        try:
            may = await self._permissions.advance(claim, row, line, self._token(line), lambda: self._take_line(claim))
            if may is None:
                return
            row, call, commands = may
            run = CallRun(self._parts, claim, row, line, self._token(line))
            row = await run.run((), call=call, commands=commands)
        except TooOften as error:
            now = self._parts.clock.now()
            await self._parts.mailboxes.release(claim, now, now + error.wait)
            return
        finally:
            self._let_go(claim)
        await self._after(claim, row)

    def _take_line(self, claim: Claim) -> bool:
        if claim.mailbox_id not in self.running:
            capacity = self._parts.settings.call_capacity
            if len(self.running) >= capacity - max(capacity // SPARE_SHARE, int(capacity > 1)):
                return False
            self._hold(claim)
        return True

    # Calls that this process holds

    async def _run(self, claim: Claim, run: CallRun, event: Offered | Orphaned) -> None:
        self._hold(claim)
        try:
            row = await run.run((event,))
        finally:
            self._let_go(claim)
        await self._after(claim, row)

    def _hold(self, claim: Claim) -> None:
        self.running[claim.mailbox_id] = claim
        RUNNING.set(len(self.running))

    def _let_go(self, claim: Claim) -> None:
        if self.running.get(claim.mailbox_id) is claim:  # a lease that ran out was perhaps taken up again here
            del self.running[claim.mailbox_id]
        RUNNING.set(len(self.running))

    async def _after(self, claim: Claim, row: CallRow) -> None:
        if row.phase == Phase.ENDED.value:
            await self._settlement.settle(claim, row)
        else:  # it goes on when the mailbox is claimed again: the person is asked, or called anew
            now = self._parts.clock.now()
            await self._parts.mailboxes.release(claim, now, now)

    async def _drop(self, claim: Claim, reason: str) -> None:
        now = self._parts.clock.now()
        await self._parts.store.set_done(claim, reason, now)
        await self._parts.mailboxes.release(claim, now)

    def _token(self, line: Line) -> NumberToken:
        return open_token(self._vault, line.workspace_id, line.phone_number_id, line.token)
