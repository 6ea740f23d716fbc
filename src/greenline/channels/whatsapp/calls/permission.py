"""May we call? The part of a call of the business that comes before it, and may take a week.

Nothing is held meanwhile: every step ends with the mailbox given back, due when there is something to look at. The
request is a message like any other, sent by the outbox; its id is derived from the call's, so that a step that is
made again after a crash asks nobody twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from greenline.channels.orders import ITEM as ORDER
from greenline.channels.whatsapp.calls.events import (
    Asked,
    AskMeta,
    AskPerson,
    Command,
    Happening,
    HungUp,
    NotAsked,
    PermissionKnown,
    Prepare,
    Replied,
    Timer,
    TimeUp,
)
from greenline.channels.whatsapp.calls.machine import Call, Phase, begin_outbound, step
from greenline.channels.whatsapp.calls.run import CallParts
from greenline.channels.whatsapp.calls.settle import Settlement
from greenline.channels.whatsapp.calls.store import CallRow, Line
from greenline.channels.whatsapp.calls.webhooks import read_reply
from greenline.channels.whatsapp.commit import Committer, QueuedMessage, TurnCommit
from greenline.channels.whatsapp.compose import Composed
from greenline.channels.whatsapp.graph_errors import GraphError, Outcome
from greenline.channels.whatsapp.graph_token import Token
from greenline.conversations.events import AgentMessage, CallPermission
from greenline.conversations.lifecycle import ENDED_BY_OPERATOR
from greenline.ids import derived_id
from greenline.store.mailbox import Claim

log = structlog.get_logger(__name__)

PERMISSION_EXISTS: Final = 138017  # Meta: a permanent permission exists, nobody need be asked
ARRIVED: Final = frozenset({"delivered", "read", "played"})
GONE: Final = "The conversation was ended before the person was asked."
NO_LINE_SECONDS: Final = 1.5
"""When a call that finds all lines busy is looked at again."""
SOON_SECONDS: Final = 2.0
"""How often a request on its way is looked at in its first minute; after it once a minute."""


class TooOften(Exception):
    """Meta answers no more questions about permissions for ``wait``: other calls of the business have asked them."""

    def __init__(self, wait: timedelta) -> None:
        self.wait = wait
        super().__init__(wait)


class Permissions:
    """Brings a call of the business to where it may be made."""

    def __init__(self, parts: CallParts, committer: Committer, settlement: Settlement) -> None:
        self._parts = parts
        self._committer = committer
        self._settlement = settlement

    async def advance(
        self, claim: Claim, row: CallRow, line: Line, token: Token, take_line: Callable[[], bool]
    ) -> tuple[CallRow, Call, tuple[Command, ...]] | None:
        """Do what can be done now. The call and its commands when it may be made; else the mailbox is given back.

        ``take_line`` keeps a place for the call; where it can't, the call waits for one. Raises `TooOften`, and
        `GraphError` when Meta is away.
        """
        now = self._parts.clock.now()
        call, commands = row.call, deque[Command]()
        events = deque(await self._happened(claim, row, now))
        if call.phase is Phase.ASKING and not events:
            commands.append(AskPerson())
        while commands or events or call.phase is Phase.CHECKING:
            if not commands and not events:
                call, first = begin_outbound(call)
                commands.extend(first)
            if commands and isinstance(commands[0], AskMeta | Prepare) and not take_line():
                await self._parts.mailboxes.release(claim, now, now + timedelta(seconds=NO_LINE_SECONDS))
                return None
            if commands and isinstance(commands[0], AskPerson):
                await self._ask(claim, replace(row, phase=Phase.ASKING.value), now)
                return None
            if commands and isinstance(commands[0], Prepare):
                row = await self._save(claim, row, call, now)
                return row, call, tuple(commands)
            if commands:
                command = commands.popleft()
                if isinstance(command, AskMeta):
                    events.appendleft(await self._ask_meta(line, token))
                continue
            call, more = step(call, events.popleft())
            commands.extend(more)
        row = await self._save(claim, row, call, now)
        if call.phase is Phase.ENDED:
            await self._settlement.settle(claim, row)
        else:
            await self._parts.mailboxes.release(claim, now, await self._look_again(row, now))
        return None

    async def _happened(self, claim: Claim, row: CallRow, now: datetime) -> list[Happening]:
        """What came in while nobody held the call: the request's fate, the person's word, the passing of time."""
        happened: list[Happening] = []
        if any(item.kind == ORDER for item in claim.items):  # to end it: there is no other before it is answered
            happened.append(HungUp(ENDED_BY_OPERATOR))
        state = await self._parts.store.request_state(row) if row.request_outbox_id else None
        if state is not None and row.phase == Phase.ASKING.value:
            happened.append(Asked())
        if state is not None and state[0] == "failed":
            code = state[1].get("code")
            reason = str(state[1].get("details") or state[1].get("title") or "The request could not be sent.")
            known = code == PERMISSION_EXISTS
            happened.append(Replied(granted=True, permanent=True) if known else NotAsked(reason, code))
        replies = (read_reply(item.payload) for item in claim.items if item.kind == "call_permission")
        happened.extend(reply for reply in replies if reply is not None)
        if row.permission_requested_at is not None and now >= self._expiry(row.permission_requested_at):
            happened.append(TimeUp(Timer.PERMISSION))
        return happened

    async def _ask_meta(self, line: Line, token: Token) -> PermissionKnown:
        try:
            known = await self._parts.graph.permission(
                line.phone_number_id, token, wa_id=line.wa_id, bsuid=line.bsuid
            )
        except GraphError as error:
            if error.outcome is Outcome.REFUSED and error.code is not None:
                raise TooOften(error.retry_delay(0)) from error
            if error.outcome is not Outcome.PERMANENT:
                raise
            reason = error.advice or str(error)
            return PermissionKnown(may_call=False, may_ask=False, reason=reason, code=error.code)
        return PermissionKnown(known.may_call, known.may_ask, known.granted, known.why_not)

    async def _ask(self, claim: Claim, row: CallRow, now: datetime) -> None:
        """Queue the request. The transaction gives the mailbox back, due at once: the next claim goes on."""
        outbox_id = derived_id("out", row.id, "permission")
        row = replace(row, request_outbox_id=outbox_id)
        await self._parts.store.save(claim, row, [], now)
        conversation = await self._parts.store.conversation(row)
        if conversation is None or not conversation.is_open:
            row = replace(row, phase=Phase.ENDED.value, result="failed", reason=GONE, ended_at=now)
            await self._parts.store.save(claim, row, [], now)
            await self._settlement.settle(claim, row)
            return
        commit = TurnCommit(claim, now)
        said = AgentMessage(
            id=derived_id("msg", row.id, "permission"),
            text=str(row.request.get("text", "")),
            origin="template" if row.request.get("template") else "notice",
            outbox_ids=(outbox_id,),
            template=row.request.get("template"),
        )
        commit.record(conversation, said, CallPermission(state="sent"))
        body = row.request["body"]
        message = Composed(str(body["type"]), body, (said.id,))
        commit.outbox.append(QueuedMessage(outbox_id, row.phone_number_id, conversation.id, message, row.chat_id))
        commit.timer_at = now
        await self._committer.commit(commit)

    async def _save(self, claim: Claim, row: CallRow, call: Call, now: datetime) -> CallRow:
        row = row.after(call, now)
        await self._note(row, now)  # first: after a crash in between, nobody would look at the answer again
        await self._parts.store.save(claim, row, [item.id for item in claim.items], now)
        return row

    async def _note(self, row: CallRow, now: datetime) -> None:
        """Let the conversation tell what became of the request."""
        state = row.permission_state
        if row.conversation_id is None or state is None or state == "sent":
            return
        told = CallPermission(
            state=state, permanent=row.permission_permanent, by_users_call=row.permission_by_users_call
        )
        await self._parts.store.note(row.workspace_id, row.conversation_id, told, now)

    async def _look_again(self, row: CallRow, now: datetime) -> datetime:
        asked = row.permission_requested_at or now
        state = await self._parts.store.request_state(row)
        if state is not None and state[0] in ARRIVED:
            return self._expiry(asked)
        if state is not None and state[0] == "failed":  # since we looked
            return now
        again = now + timedelta(seconds=SOON_SECONDS if now - asked < timedelta(minutes=1) else 60.0)
        return min(again, self._expiry(asked))

    def _expiry(self, asked: datetime) -> datetime:
        return asked + timedelta(days=self._parts.settings.call_permission_days)
