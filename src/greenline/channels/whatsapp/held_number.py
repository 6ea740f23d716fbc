"""A number in the hands of this process's sender: what is in the air, and how fast the number goes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime

from greenline.channels.whatsapp.graph_token import NumberToken
from greenline.channels.whatsapp.pacing import Rules
from greenline.store.mailbox import Claim


@dataclass(slots=True)
class HeldNumber:
    """State of one number between claim and release of its mailbox."""

    claim: Claim
    phone_number_id: str
    clock: datetime | None
    flights: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """The request that is in the air, or about to be, by chat: at most one each, or the order would be lost."""
    behind: set[str] = field(default_factory=set)
    """Chats in which more may wait for the landing."""
    used: bool = False
    """A booked message left since the last look: the number is not idle."""
    token: NumberToken | None = None
    """As it was read last; None while there is none that Meta takes."""
    departures: deque[datetime] = field(default_factory=deque)
    """When messages left, as far back as `sent_since` was asked last."""
    rules: Rules | None = None
    counted_at: datetime | None = None
    """The rules by the last count of what came in, and when that was."""
    _fault: BaseException | None = None

    def fly(self, chat_id: str, flight: Coroutine[None, None, None]) -> None:
        """Send in the background; the sender is woken when it lands, if there may be more to do then."""
        task = asyncio.create_task(flight)
        self.flights[chat_id] = task
        task.add_done_callback(lambda done: self._landed(chat_id, done))

    def sent_since(self, moment: datetime) -> int:
        """How many messages have left since; older departures are forgotten."""
        while self.departures and self.departures[0] < moment:
            self.departures.popleft()
        return len(self.departures)

    def rules_of_late(self, since: datetime) -> Rules | None:
        """The rules by a count of what came in that is no older."""
        return self.rules if self.counted_at is not None and self.counted_at >= since else None

    def check(self) -> None:
        """Raises what went wrong in a flight, beyond what Meta answers."""
        if self._fault is not None:
            raise self._fault

    def _landed(self, chat_id: str, task: asyncio.Task[None]) -> None:
        del self.flights[chat_id]
        if not task.cancelled():
            self._fault = self._fault or task.exception()
        if chat_id in self.behind or self._fault is not None or self.claim.closing:
            self.behind.discard(chat_id)
            self.claim.arrived.set()


@dataclass(frozen=True, slots=True)
class Booking:
    """A message that may leave with the commit of its turn. ``row``: for the statement ``commit``."""

    row: dict[str, object]
    leaves: asyncio.Future[bool]
    """To be told whether the commit marked the message as leaving."""

    def settle(self, leaves: bool) -> None:
        """Tell the sender what became of the commit."""
        if not self.leaves.done():
            self.leaves.set_result(leaves)
