"""What an operator does to a live conversation: orders of a monitor, wherever its socket is held.

An order arrives in the conversation's mailbox, as a message of a chat does, and is done when the journal that it led
to is written (reference: Real-time monitoring, commands).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from greenline.channels.live.conversation import Conversation
from greenline.channels.live.ending import TAKEN_OVER
from greenline.channels.live.floor import Floor
from greenline.channels.live.journal import JournalUnwritten, LiveJournal
from greenline.channels.live.models import CODE_NORMAL, AgentTyping, SessionEnded, TakenOver
from greenline.channels.orders import ITEM, Order, load_order
from greenline.conversations.events import ContextualUpdate, HumanTakeover, Noted
from greenline.conversations.lifecycle import ENDED_BY_OPERATOR
from greenline.store.mailbox import Claim, LeaseLost, Mailboxes
from greenline.store.outage import DATABASE_ERRORS, OUTAGE
from greenline.store.wakeups import POLL_SECONDS

TYPING_MS: Final = 5_000
"""How long a sign of a human's typing holds good: that they went away no sign tells."""


class Operator:
    """Carries the orders for one conversation out. ``speaks``: whether a human answers instead of the agent.

    ``relieved`` is called when that has changed.
    """

    def __init__(
        self,
        conversation: Conversation,
        floor: Floor,
        journal: LiveJournal,
        claim: Claim,
        mailboxes: Mailboxes,
        relieved: Callable[[], None],
    ) -> None:
        self._conversation = conversation
        self._floor = floor
        self._journal = journal
        self._claim = claim
        self._mailboxes = mailboxes
        self._relieved = relieved
        self._types = False
        self.speaks = False

    async def follow(self) -> None:
        """Carry out what arrives, until the journal can't be written any more."""
        while not self._journal.broken.is_set():
            await self._claim.arrived.wait()
            try:
                await self._mailboxes.look_again(self._claim)
            except DATABASE_ERRORS as error:
                OUTAGE.tell(error, "orders")
                await asyncio.sleep(POLL_SECONDS)
                self._claim.arrived.set()
                continue
            except LeaseLost:
                self._conversation.end(TAKEN_OVER)
                return
            for item in self._claim.items:
                if item.kind == ITEM:
                    self.obey(load_order(item.payload))
                self._journal.obeyed(item.id)
            with contextlib.suppress(JournalUnwritten, LeaseLost):  # the session watches the journal, and ends
                await self._journal.flush()

    def obey(self, order: Order) -> None:
        """Carry an order out."""
        match order.command:
            case "enable_human_takeover" | "disable_human_takeover":
                self._take_over(order.command == "enable_human_takeover")
            case "human_typing":
                self._type(active=self.speaks)
            case "send_human_message":
                self._type(active=False)
                self._floor.say(order.text, "human")
            case "contextual_update":
                self._conversation.record(ContextualUpdate(text=order.text))
            case "end_call":
                self._conversation.end(SessionEnded(CODE_NORMAL, ENDED_BY_OPERATOR))
            case "transfer_to_number":
                self._conversation.record(Noted(what="order_refused", detail={"command": order.command}))

    def _take_over(self, active: bool) -> None:
        if active != self.speaks:
            if active:
                self._floor.interrupt()
            self._type(active=False)
            self.speaks = active
            self._conversation.record(HumanTakeover(active=active))
            self._conversation.tell(TakenOver(active))
            self._relieved()

    def _type(self, *, active: bool) -> None:
        if active or self._types:
            self._conversation.tell(AgentTyping(active, TYPING_MS if active else None))
        self._types = active
