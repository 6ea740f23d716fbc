"""After a call: its conversation tells how it ended, and nothing that was said to us is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, cast

from greenline.channels.whatsapp.calls.events import PICKED_UP, Result
from greenline.channels.whatsapp.calls.figures import ENDED
from greenline.channels.whatsapp.calls.hang_up import HangUps, said_again_at
from greenline.channels.whatsapp.calls.prices import call_price
from greenline.channels.whatsapp.calls.store import CallRow, CallStore, Line
from greenline.channels.whatsapp.calls.texts import CALL_TEXT
from greenline.channels.whatsapp.calls.webhooks import CallNews, read_news
from greenline.channels.whatsapp.commit import Committer, TurnCommit
from greenline.channels.whatsapp.graph_token import Token
from greenline.clock import Clock
from greenline.conversations.events import CallCharged, CallEnded, Ended
from greenline.store.mailbox import Claim, Mailboxes

NEVER_BEGAN: Final = 1008
"""``error.code`` of a conversation that no call came of, where Meta gave none."""


class Settlement:
    """Writes what follows from an ended call. Every part may be done again after a crash."""

    def __init__(
        self,
        store: CallStore,
        mailboxes: Mailboxes,
        committer: Committer,
        hang_ups: HangUps,
        clock: Clock,
        rates: Mapping[str, float],
    ) -> None:
        self._hang_ups = hang_ups
        self._store = store
        self._mailboxes = mailboxes
        self._committer = committer
        self._clock = clock
        self._rates = rates

    async def settle(self, claim: Claim, row: CallRow) -> None:
        """Record the end, and give the mailbox back."""
        ENDED.labels(row.direction, row.result or "failed").inc()
        await self._settle(claim, row)

    async def _settle(self, claim: Claim, row: CallRow) -> None:
        now = self._clock.now()
        due = said_again_at(row, now)
        await self._store.return_texts(row, now)
        if row.conversation_id is None:
            await self._mailboxes.release(claim, now, due)
            return
        ended = CallEnded(result=cast("Result", row.result or "failed"), reason=row.reason or "", code=row.error_code)
        await self._store.note(row.workspace_id, row.conversation_id, ended, now)
        if row.direction == "outbound" and row.result in PICKED_UP:
            await self._charge(row, now)
        conversation = await self._store.conversation(row) if row.picked_up_at is None else None
        if conversation is None or not conversation.is_open:  # one that began ends in its own session
            await self._mailboxes.release(claim, now, due)
            return
        commit = TurnCommit(claim, now)
        commit.timer_at = due
        error: dict[str, Any] = {"code": row.error_code or NEVER_BEGAN, "reason": row.reason}
        commit.record(conversation, Ended(reason=row.reason or "", status="failed", error=error))
        await self._committer.commit(commit)

    async def _charge(self, row: CallRow, now: datetime) -> None:
        """Only calls of the business that were answered cost something (Meta: Calling, Pricing)."""
        line = await self._store.line(row.workspace_id, row.phone_number_id, row.chat_id)
        seconds, price = row.talk_seconds, None
        if seconds is not None:
            price = call_price(seconds, line.wa_id if line is not None else None, self._rates)
        await self._store.charge(row, CallCharged(seconds=seconds, price=price), now)

    async def late(self, claim: Claim, row: CallRow, line: Line, token: Token) -> None:
        """What comes after the end: how long the call was, or that it lives on at Meta, which is told then."""
        news = [read_news(item.payload, line.phone_number) for item in claim.items if item.kind == "call"]
        row = await self._hang_ups.say(_learned(row, news), line, token)
        dealt = [item.id for item in claim.items if item.kind != CALL_TEXT]
        await self._store.save(claim, row, dealt, self._clock.now())
        await self._settle(claim, row)


def _learned(row: CallRow, news: Sequence[CallNews]) -> CallRow:
    """The row of an ended call with what Meta has told of it since."""
    for one in news:
        if row.wacid is None and one.callback == row.id:  # its `connect` was carried out, and the answer lost
            row = replace(row, wacid=one.call_id, hang_up="terminate")
        if one.talk_seconds is not None:
            row = replace(row, talk_seconds=one.talk_seconds)
            # Somebody picked up, whatever we knew of it.
            if row.direction == "outbound" and row.result not in PICKED_UP:
                row = replace(row, result="answered")
    return replace(row, hang_up=None) if any(one.ends for one in news) else row
