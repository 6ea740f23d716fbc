"""What comes in for a chat that nobody works on is in the hands of this process's worker with the same commit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from greenline.channels.whatsapp.inbox import Inbox
from greenline.clock import ManualClock
from greenline.store.mailbox import Claim, Mailboxes
from greenline.store.pool import Pool
from greenline.store.precedence import ENOUGH, Delay
from greenline.store.vault import KEY_BYTES, Vault
from greenline.store.wakeups import Wakeups
from greenline.store.worker import Worker
from support.rows import NUMBER, insert_account, insert_workspace
from support.wait import eventually

ANN, BEN = "15551230000", "15551239999"


class Watched(Mailboxes):
    """Notes how many mailboxes each look may claim."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool, lease_seconds=15)
        self.limits: list[int] = []

    async def claim(
        self, owner: str, kind: str, now: datetime, limit: int, *, held: Iterable[str] = ()
    ) -> list[Claim]:
        self.limits.append(limit)
        return await super().claim(owner, kind, now, limit, held=held)


def late() -> Delay:
    """Of webhooks that are late for all the time of a test."""
    delay, then = Delay(), asyncio.get_running_loop().time() + 1000
    for took in (*[0] * ENOUGH, 1):
        with delay.operation(iter((then - took, then)).__next__):
            pass
    assert delay.late(then - 1)
    return delay


@dataclass
class Hands:
    """A worker that keeps what it claims until it is let go."""

    pool: Pool
    inbox: Inbox
    worker: Worker
    mailboxes: Watched
    claims: list[Claim] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    async def hear(self, wamid: str, *people: str) -> None:
        """One webhook with a message of each person."""
        messages = [
            {"id": f"{wamid}.{who}", "from": who, "timestamp": "1790000000", "type": "text", "text": {"body": "Hi"}}
            for who in people
        ]
        value = {"metadata": {"phone_number_id": NUMBER}, "messages": messages}
        entry = {"id": "waba_1", "changes": [{"field": "messages", "value": value}]}
        await self.inbox.accept(json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode())

    async def rows(self) -> list[dict[str, Any]]:
        rows = await self.pool.fetch("select m.*, c.wa_id from mailbox m join whatsapp_chat c using (id) order by 1")
        return [dict(row) for row in rows]


Hire = Callable[..., Hands]


@pytest.fixture
async def hire(pool: Pool, dsn: str, clock: ManualClock) -> AsyncIterator[Hire]:
    await insert_workspace(pool, clock.now())
    await insert_account(pool, clock.now())
    mailboxes, hired = Watched(pool), list[Hands]()

    def make(room: int = 10, after: Delay | None = None) -> Hands:
        async def handle(claim: Claim) -> None:
            hands.claims.append(claim)
            await hands.open.wait()
            await mailboxes.release(claim, clock.now())

        async def give_up(claim: Claim, error: BaseException) -> None:
            raise error

        wakeups = Wakeups(dsn)  # not listening: nothing wakes the worker's own claims
        options: Any = {"kind": "chat", "owner": "me", "handler": handle, "give_up": give_up, "room": room}
        worker = Worker(mailboxes, wakeups, clock, after=after, **options)
        hands = Hands(pool, Inbox(pool, clock, Vault(bytes(KEY_BYTES)), worker), worker, mailboxes)
        worker.start()
        hired.append(hands)
        return hands

    yield make
    for hands in hired:
        hands.open.set()
        await hands.worker.stop(5)


async def test_a_claim_has_what_came_and_the_chat_of_somebody_new(hire: Hire) -> None:
    hands = hire(10)
    await hands.hear("wamid.1", ANN)
    (row,) = await hands.rows()
    assert (row["owner"], row["epoch"], row["attempt"]) == ("me", 1, 1)
    await eventually(lambda: hands.claims)
    (claim,) = hands.claims
    assert (claim.mailbox_id, claim.epoch, claim.attempt, claim.arrivals) == (row["id"], 1, 1, row["arrivals"])
    assert [item.payload["message"]["id"] for item in claim.items] == [f"wamid.1.{ANN}"]
    assert claim.context["chat"]["wa_id"] == ANN


async def test_what_comes_to_a_chat_in_hands_is_counted_and_claimed_by_nobody(hire: Hire) -> None:
    hands = hire(10)
    await hands.hear("wamid.1", ANN)
    await hands.hear("wamid.2", ANN)
    await hands.hear("wamid.2", ANN)
    (row,) = await hands.rows()
    assert (row["epoch"], row["arrivals"]) == (1, 2)
    assert len(hands.claims) == 1


async def test_the_chat_of_a_dead_process_is_taken_over(hire: Hire, pool: Pool, clock: ManualClock) -> None:
    hands = hire(0)
    await hands.hear("wamid.1", ANN)
    await pool.execute(
        """update mailbox set owner = 'dead', epoch = 7, attempt = 1, due_at = $1,
               lease_until = clock_timestamp() - interval '1 s'""",
        clock.now() + timedelta(days=1),
    )
    other = hire(10)
    await other.hear("wamid.2", ANN)
    await eventually(lambda: other.claims)
    (claim,) = other.claims
    assert (claim.epoch, claim.attempt, len(claim.items)) == (8, 2, 2)


async def test_no_more_is_claimed_than_there_is_room_for(hire: Hire) -> None:
    hands = hire(1)
    await hands.hear("wamid.1", ANN, BEN)
    held = {row["owner"]: row["due_at"] is not None for row in await hands.rows()}
    assert held == {"me": True, None: True}
    hands.open.set()
    await eventually(lambda: len(hands.claims) == 2)  # the other one is claimed in its turn


async def test_a_worker_that_stops_is_given_nothing(hire: Hire) -> None:
    hands = hire(10)
    await hands.worker.stop(5)
    await hands.hear("wamid.1", ANN)
    (row,) = await hands.rows()
    assert (row["owner"], row["epoch"]) == (None, 0)


async def test_while_webhooks_are_late_few_chats_are_begun_at_once_and_all_in_the_end(hire: Hire) -> None:
    hands = hire(10, late())
    hands.open.set()
    people = [f"155512300{number:02}" for number in range(30)]
    assert hands.worker.lease.limit == 0  # none is claimed with what comes
    await hands.hear("wamid.1", *people)
    await eventually(lambda: len(hands.claims) == len(people))
    assert hands.mailboxes.limits[:5] == [10, 5, 2, 1, 1]
    assert set(hands.mailboxes.limits[5:]) == {1}
