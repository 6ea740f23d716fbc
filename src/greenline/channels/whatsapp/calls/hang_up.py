"""Ends that Meta has not taken: said again until it does, by whoever claims the mailbox of the ended call.

A call that Meta holds for alive rings or costs on. What is owed is part of the call's row, so that it outlives the
process; the mailbox is due when it is to be said again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from greenline.channels.whatsapp.calls.store import CallRow, Line
from greenline.channels.whatsapp.graph_calls import GraphCalls
from greenline.channels.whatsapp.graph_errors import GraphError, Outcome
from greenline.channels.whatsapp.graph_token import Token
from greenline.clock import Clock

log = structlog.get_logger(__name__)

FIRST_PAUSE: Final = timedelta(seconds=0.2)
LONGEST_PAUSE: Final = timedelta(seconds=30)
PATIENCE: Final = timedelta(minutes=5)
"""Meta itself ends a call without sound of ours after half a minute, and one that is not accepted after a minute."""


class HangUps:
    """Says them."""

    def __init__(self, graph: GraphCalls, clock: Clock) -> None:
        self._graph = graph
        self._clock = clock

    async def say(self, row: CallRow, line: Line, token: Token) -> CallRow:
        """Tell Meta what ``row`` owes it; the row as it is then. What it refuses for good, it knows already."""
        if row.hang_up is None or row.wacid is None:
            return replace(row, hang_up=None)
        try:
            await self._graph.act(line.phone_number_id, token, row.hang_up, row.wacid)
        except GraphError as error:
            log.warning("call.hang_up_refused", call_id=row.id, action=row.hang_up, error=str(error))
            if error.outcome is not Outcome.PERMANENT or error.token_dead:
                return row if self._may_wait(row) else replace(row, hang_up=None)
            if row.hang_up == "terminate" and row.direction == "inbound" and row.picked_up_at is None:
                # An `accept` whose answer we did not wait for was not carried out: the phone rings.
                return await self.say(replace(row, hang_up="reject"), line, token)
        return replace(row, hang_up=None)

    def _may_wait(self, row: CallRow) -> bool:
        waits = row.ended_at is not None and self._clock.now() - row.ended_at < PATIENCE
        if not waits:
            log.error("call.hang_up_lost", call_id=row.id, action=row.hang_up, wacid=row.wacid)
        return waits


def said_again_at(row: CallRow, now: datetime) -> datetime | None:
    """When what ``row`` owes is due: in pauses that double."""
    if row.hang_up is None or row.wacid is None:
        return None
    return now + min(LONGEST_PAUSE, max(FIRST_PAUSE, now - (row.ended_at or now)))
