"""One message to Meta, and what becomes of it: accepted, refused for now or for good, or nobody knows.

What became of a request that has no answer is not guessed: the message waits for a status that carries its id.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import structlog

from greenline.channels.whatsapp.delivery import Fact, raise_states, sql
from greenline.channels.whatsapp.graph import GraphClient, SendResult
from greenline.channels.whatsapp.graph_errors import GraphError, Outcome
from greenline.channels.whatsapp.graph_token import NumberToken
from greenline.channels.whatsapp.held_number import HeldNumber
from greenline.channels.whatsapp.pacing import LOST_ANSWERS, Refuse, unknown_wait
from greenline.channels.whatsapp.people import learn
from greenline.checkpoints import checkpoint
from greenline.clock import Clock
from greenline.store.batch import Batcher
from greenline.store.pool import Pool
from greenline.text import clean_data

log = structlog.get_logger(__name__)

Settled = Callable[[str], Awaitable[None]]
"""Waits until the typing bubble of a chat is through: one that came after its message would stay."""

RefusedToken: TypeAlias = Callable[[NumberToken, GraphError], Awaitable[object]]
"""To be told of a token that Meta does not take, or not for this."""

Head: TypeAlias = Mapping[str, Any]
"""A message that is the first open one of its chat, with what is known of the person: a row of ``heads``."""


class Posting:
    """The requests of the senders of a process. ``grace``: how long an unknown outcome waits for a status."""

    def __init__(
        self,
        pool: Pool,
        graph: GraphClient,
        clock: Clock,
        grace: timedelta,
        refused_token: RefusedToken,
        settled: Settled,
    ) -> None:
        self._pool = pool
        self._graph = graph
        self._clock = clock
        self._grace = grace
        self._refused_token = refused_token
        self._settled = settled
        self._facts: Batcher[Fact, None] = Batcher(self._raise)

    async def post(self, number: HeldNumber, head: Head) -> None:
        """Send a message that is marked as leaving, and keep what Meta answers."""
        body = {**head["body"], **_recipient(head), "biz_opaque_callback_data": head["id"]}
        await self._settled(head["chat_id"])
        token = number.token
        if token is None:  # found dead since the message was booked
            await self.defer(number, head, "queued", self._clock.now())
            return
        try:
            result = await self._graph.send_message(number.phone_number_id, token, body)
        except GraphError as error:
            checkpoint("sender.posted")
            await self._settle_error(number, head, error, token)
        else:
            checkpoint("sender.posted")
            await self._facts.put(Fact(head["id"], "accepted", self._clock.now(), wamid=result.wamid))
            await self._learn(number, head, result)
        checkpoint("sender.settled")

    async def _settle_error(self, number: HeldNumber, head: Head, error: GraphError, token: NumberToken) -> None:
        about = {"outcome": error.outcome.name, "code": error.code, "error": str(error)}
        log.warning("sender.error", outbox_id=head["id"], **about)
        now = self._clock.now()
        if error.token_dead:
            await self._refused_token(token, error)
            await self.defer(number, head, "queued", now)  # it goes as soon as the number has another token
        elif error.lacks_permission:
            await self._refused_token(token, error)
            await self.defer(number, head, "queued", now + error.retry_delay(head["attempt"]))
        elif error.outcome is Outcome.REFUSED:
            await self.defer(number, head, "queued", now + error.retry_delay(head["attempt"]))
        elif error.outcome is Outcome.UNKNOWN:
            wait = unknown_wait(self._grace, head["attempt"])
            weight = LOST_ANSWERS if error.may_last else int(error.is_lost)
            await self.defer(number, head, "unknown", now + wait, weight=weight)
        else:
            facts = {"code": error.code, "title": error.title, "details": error.details}
            await self._facts.put(Fact(head["id"], "failed", now, error=clean_data(facts)))

    async def defer(self, number: HeldNumber, head: Head, state: str, until: datetime, *, weight: int = 0) -> None:
        """Put a message back until a moment. ``weight``: how much that counts towards giving it up."""
        number.behind.add(head["chat_id"])  # the sender looks again when it has landed: the number may be in use
        await self._pool.execute(sql["defer"], number.claim.workspace_id, head["id"], state, until, weight)

    async def _learn(self, number: HeldNumber, head: Head, result: SendResult) -> None:
        is_known = result.wa_id in (None, head["wa_id"]) and result.user_id in (None, head["bsuid"])
        if is_known or head["group_id"]:
            return
        workspace_id, now = number.claim.workspace_id, self._clock.now()
        place = (workspace_id, number.phone_number_id, head["chat_id"])
        await learn(self._pool, *place, wa_id=result.wa_id, bsuid=result.user_id, now=now)

    async def _raise(self, facts: list[Fact]) -> list[None]:
        await raise_states(self._pool, facts, self._clock.now())
        return [None] * len(facts)

    async def refuse(self, head: Head, verdict: Refuse, now: datetime) -> None:
        """A message is not sent, and the conversation shows why."""
        log.warning("sender.refused", outbox_id=head["id"], code=verdict.code)
        error = {"code": verdict.code, "title": verdict.title, "details": verdict.details}
        await self._facts.put(Fact(head["id"], "failed", now, error=error))


def _recipient(head: Head) -> dict[str, Any]:
    """Whom to send to. A phone number always with its plus: Meta would add the business's country code."""
    base: dict[str, Any] = {"messaging_product": "whatsapp", "recipient_type": "individual"}
    if head["group_id"]:
        return {**base, "recipient_type": "group", "to": head["group_id"]}
    if head["wa_id"]:
        return {**base, "to": f"+{head['wa_id']}"}
    return {**base, "recipient": head["bsuid"]}
