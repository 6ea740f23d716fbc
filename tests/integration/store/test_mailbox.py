"""Claims, when others write to the same mailboxes at the same instant."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from datetime import timedelta

import asyncpg
import pytest

from greenline.channels.whatsapp.inbox import Inbox
from greenline.clock import ManualClock
from greenline.store.mailbox import Claim, LeaseLost, Mailboxes, ring
from greenline.store.pool import Pool
from greenline.store.vault import KEY_BYTES, Vault
from greenline.store.wakeups import Wakeups
from greenline.store.worker import Worker
from support.rows import NUMBER, WORKSPACE, insert_account, insert_workspace
from support.wait import PATIENCE_SECONDS, until

PAUSE = """
create function pause() returns trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock(1);
  return new;
end
$$;
create trigger pause before update on mailbox for each row when (new.owner is not null and new.id = '{chat_id}')
execute function pause();
"""


WAITING = "select count(*) >= $1 from pg_locks where not granted"


def message(wamid: str, person: str) -> bytes:
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"phone_number_id": NUMBER, "display_phone_number": "15550001111"},
        "messages": [
            {"id": wamid, "from": person, "timestamp": "1790000000", "type": "text", "text": {"body": "Hi"}}
        ],
    }
    entry = {"id": "waba_1", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


async def kept_or_waiting(gate: asyncpg.Connection, late: asyncio.Task[None]) -> bool:
    """Whether the late event is committed, or waits for the claim that has its mailbox already."""
    return late.done() or bool(await gate.fetchval(WAITING, 2))


@pytest.fixture
async def inbox(pool: Pool, clock: ManualClock) -> Inbox:
    await insert_workspace(pool, clock.now())
    await insert_account(pool, clock.now())
    return Inbox(pool, clock, Vault(bytes(KEY_BYTES)))


async def test_what_comes_while_a_claim_runs_is_in_it_or_due_after_it(
    pool: Pool, dsn: str, inbox: Inbox, clock: ManualClock
) -> None:
    """A claim that began before an event was kept must not count it as seen without having read it."""
    await inbox.accept(message("wamid.1", "1555"))
    clock.advance(timedelta(seconds=1))
    await inbox.accept(message("wamid.2", "1666"))
    chats = {row["wa_id"]: row["id"] for row in await pool.fetch("select wa_id, id from whatsapp_chat")}
    await pool.execute(PAUSE.format(chat_id=chats["1555"]))
    gate = await asyncpg.connect(dsn)
    mailboxes = Mailboxes(pool, lease_seconds=15)
    try:
        await gate.execute("select pg_advisory_lock(1)")
        claiming = asyncio.create_task(mailboxes.claim("me", "chat", clock.now(), 10))
        await until(lambda: gate.fetchval(WAITING, 1))
        late = asyncio.create_task(inbox.accept(message("wamid.3", "1666")))
        await until(lambda: kept_or_waiting(gate, late))
    finally:
        await gate.close()
    claims = {claim.mailbox_id: claim for claim in await claiming}
    await late
    claim = claims[chats["1666"]]
    seen = len(claim.items)
    await mailboxes.release(claim, clock.now())
    assert seen == 2 or claim.arrived.is_set()


async def test_a_hold_of_unknown_outcome_is_repeated_and_no_other_is(pool: Pool, clock: ManualClock) -> None:
    await insert_workspace(pool, clock.now())
    mailboxes, now = Mailboxes(pool, lease_seconds=10), clock.now()
    first = await mailboxes.hold("one:a", "live", "live:1", WORKSPACE, now)
    again = await mailboxes.hold("one:a", "live", "live:1", WORKSPACE, now)
    assert (again.epoch, await mailboxes.renew([again])) == (first.epoch, {"live:1"})
    with pytest.raises(LeaseLost):
        await mailboxes.hold("one:b", "live", "live:1", WORKSPACE, now)
    await mailboxes.release(first, now)
    with pytest.raises(LeaseLost):
        await mailboxes.hold("one:a", "live", "live:1", WORKSPACE, now)


async def test_a_mailbox_that_rests_is_claimed_when_that_is_over(pool: Pool, clock: ManualClock) -> None:
    await insert_workspace(pool, clock.now())
    await ring(pool, mailbox_id="work:1", workspace_id=WORKSPACE, kind="work", due_at=clock.now())
    mailboxes, now = Mailboxes(pool, lease_seconds=10), clock.now()
    [claim] = await mailboxes.claim("one", "work", now, 1)
    await mailboxes.release(claim, now, now, now + timedelta(minutes=1))
    assert await mailboxes.claim("two", "work", now, 1) == []
    await pool.execute("update mailbox set lease_until = lease_until - interval '1 minute'")
    assert len(await mailboxes.claim("two", "work", now, 1)) == 1


async def test_a_mailbox_that_was_given_back_counts_as_no_lost_lease(
    pool: Pool, dsn: str, clock: ManualClock
) -> None:
    """The end of the work is durable before the worker hears of it; a renewal may look in between."""
    await insert_workspace(pool, clock.now())
    await ring(pool, mailbox_id="work:1", workspace_id=WORKSPACE, kind="work", due_at=clock.now())
    renewed, ended = asyncio.Event(), asyncio.Event()

    class Watched(Mailboxes):
        async def renew(self, claims: Iterable[Claim]) -> set[str]:
            kept = await super().renew(claims)
            renewed.set()
            return kept

    mailboxes = Watched(pool, lease_seconds=0.3)

    async def work(claim: Claim) -> None:
        await mailboxes.release(claim, clock.now())
        for _ in range(2):  # the first may have begun before
            renewed.clear()
            await renewed.wait()
        ended.set()

    async def give_up(claim: Claim, error: BaseException) -> None:
        raise error

    worker = Worker(mailboxes, Wakeups(dsn), clock, kind="work", owner="me", handler=work, give_up=give_up)
    worker.start()
    try:
        await asyncio.wait_for(ended.wait(), PATIENCE_SECONDS)
    finally:
        await worker.stop(0)
