"""A number in the hands of this process's sender: what is in the air, and how fast the number goes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from greenline.channels.whatsapp.graph_token import NumberToken
from greenline.store.mailbox import Claim

SET_BACK: Final = timedelta(seconds=10)
"""By more than this the machine's clock was set back; by less, a look is older than another one that overtook it."""


@dataclass(slots=True)
class HeldNumber:
    """State of one number between claim and release of its mailbox."""

    claim: Claim
    phone_number_id: str
    clock: datetime | None = None
    """Of the number's pace."""
    per_second: float = 0.0
    """Messages that it may send and take in, as its account was read last."""
    flights: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    """The request that is in the air, or about to be, by chat: at most one each, or the order would be lost."""
    behind: set[str] = field(default_factory=set)
    """Chats in which more may wait for the landing."""
    resting: dict[str, datetime] = field(default_factory=dict)
    """Chats that are not looked at before a moment, so that others come into view where very many wait."""
    full: bool = False
    """The number's rate is used up: nothing that comes could leave before the next look."""
    used: bool = False
    """A booked message left since the last look: the number is not idle."""
    token: NumberToken | None = None
    """As it was read last; None while there is none that Meta takes."""
    landings: deque[datetime] = field(default_factory=deque)
    """When requests were answered, as far back as `sent_since` was asked last."""
    looked_at: datetime | None = None
    """When it was looked what may leave."""
    inbound_elsewhere: int = 0
    counted_at: datetime | None = None
    """Messages a second that come in by other processes, and when they were counted last."""
    busy_since: datetime | None = None
    """Since when much comes in."""
    full_since: datetime | None = None
    """Since when what comes in alone takes the number's throughput."""
    _fault: BaseException | None = None

    def fly(self, chat_id: str, flight: Coroutine[None, None, None]) -> None:
        """Send in the background; the sender is woken when it lands, if there may be more to do then."""
        task = asyncio.create_task(flight)
        self.flights[chat_id] = task
        task.add_done_callback(lambda done: self._landed(chat_id, done))

    def look(self, now: datetime) -> None:
        """To be called at each look: what was noted before the machine's clock was set back says nothing any more."""
        if self.looked_at is not None and self.looked_at > now + SET_BACK:
            self.landings.clear()
            self.resting.clear()
            self.counted_at = self.busy_since = self.full_since = None
        self.looked_at = now

    def sent_since(self, moment: datetime) -> int:
        """How many messages Meta may have taken since; older landings are forgotten.

        Meta takes a message at some moment between its departure and its landing: until the latter it counts.
        """
        while self.landings and self.landings[0] < moment:
            self.landings.popleft()
        return len(self.landings) + len(self.flights)

    def out_of_view(self, now: datetime) -> list[str]:
        """Chats of which no message may leave now."""
        self.look(now)
        self.resting = {chat_id: until for chat_id, until in self.resting.items() if until > now}
        return [*self.flights, *self.resting]

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
