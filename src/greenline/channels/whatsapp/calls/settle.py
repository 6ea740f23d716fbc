"""After a call: its conversation tells how it ended, and nothing that was said to us is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, cast

from greenline.channels.whatsapp.calls.events import Result
from greenline.channels.whatsapp.calls.figures import ENDED
from greenline.channels.whatsapp.calls.prices import call_price
from greenline.channels.whatsapp.calls.store import CallRow, CallStore, Line
from greenline.channels.whatsapp.calls.texts import CALL_TEXT
from greenline.channels.whatsapp.calls.webhooks import read_news
from greenline.channels.whatsapp.commit import Committer, TurnCommit
from greenline.clock import Clock
from greenline.conversations.events import CallCharged, CallEnded, Ended
from greenline.store.mailbox import Claim, Mailboxes

NEVER_BEGAN: Final = 1008
"""``error.code`` of a conversation that no call came of, where Meta gave none."""


class Settlement:
    """Writes what follows from an ended call. Every part may be done again after a crash."""

    def __init__(
        self, store: CallStore, mailboxes: Mailboxes, committer: Committer, clock: Clock, rates: Mapping[str, float]
    ) -> None:
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
        await self._store.return_texts(row, now)
        if row.conversation_id is None:
            await self._mailboxes.release(claim, now)
            return
        ended = CallEnded(result=cast("Result", row.result or "failed"), reason=row.reason or "", code=row.error_code)
        await self._store.note(row.workspace_id, row.conversation_id, ended, now)
        if row.direction == "outbound" and row.picked_up_at is not None:
            await self._charge(row, now)
        conversation = await self._store.conversation(row) if row.picked_up_at is None else None
        if conversation is None or not conversation.is_open:  # one that began ends in its own session
            await self._mailboxes.release(claim, now)
            return
        commit = TurnCommit(claim, now)
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

    async def late(self, claim: Claim, row: CallRow, line: Line) -> None:
        """Events of a call that has ended: how long it was may be among them."""
        now = self._clock.now()
        news = [read_news(item.payload, line.phone_number) for item in claim.items if item.kind == "call"]
        told = next((one.talk_seconds for one in news if one.talk_seconds is not None), None)
        row = replace(row, talk_seconds=row.talk_seconds if told is None else told)
        dealt = [item.id for item in claim.items if item.kind != CALL_TEXT]
        await self._store.save(claim, row, dealt, now)
        await self._settle(claim, row)
