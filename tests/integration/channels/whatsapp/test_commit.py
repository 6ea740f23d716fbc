"""The one transaction that ends turns, when turns of the same chat share it."""

import asyncio
import json
from datetime import timedelta

import pytest

from greenline.channels.whatsapp.commit import Committer, TurnCommit
from greenline.channels.whatsapp.inbox import Inbox
from greenline.clock import ManualClock
from greenline.store.mailbox import Claim, LeaseLost, Mailboxes, Step
from greenline.store.pool import Pool
from greenline.store.vault import KEY_BYTES, Vault
from greenline.store.wakeups import Wakeups
from support.rows import NUMBER, insert_account, insert_workspace

_MESSAGE = {"id": "wamid.1", "from": "1555", "timestamp": "1790000000", "type": "text", "text": {"body": "Hi"}}
_CHANGE = {"field": "messages", "value": {"metadata": {"phone_number_id": NUMBER}, "messages": [_MESSAGE]}}
HELLO = json.dumps(
    {"object": "whatsapp_business_account", "entry": [{"id": "waba_1", "changes": [_CHANGE]}]}
).encode()


@pytest.fixture
async def claims(pool: Pool, clock: ManualClock) -> tuple[Claim, Claim]:
    """The claim of a worker that lost the chat, and that of the one which has it now."""
    await insert_workspace(pool, clock.now())
    await insert_account(pool, clock.now())
    await Inbox(pool, clock, Vault(bytes(KEY_BYTES))).accept(HELLO)
    mailboxes = Mailboxes(pool, lease_seconds=15)
    (lost,) = await mailboxes.claim("one", "chat", clock.now(), 1)
    await pool.execute("update mailbox set lease_until = now() - interval '1 second'")
    (held,) = await mailboxes.claim("two", "chat", clock.now() + timedelta(seconds=1), 1)
    assert held.epoch > lost.epoch
    return lost, held


async def test_a_turn_that_lost_its_chat_changes_nothing_beside_the_one_that_has_it(
    pool: Pool, dsn: str, clock: ManualClock, claims: tuple[Claim, Claim]
) -> None:
    lost, held = (TurnCommit(claim, clock.now()) for claim in claims)
    lost.chat["profile_name"], held.chat["profile_name"] = "lost", "held"
    committer = Committer(pool, Wakeups(dsn), clock)
    outcomes = await asyncio.gather(committer.commit(lost), committer.commit(held), return_exceptions=True)
    assert isinstance(outcomes[0], LeaseLost)
    assert outcomes[1] is None
    assert await pool.fetchval("select profile_name from whatsapp_chat") == "held"


async def test_a_step_of_a_turn_that_lost_its_chat_is_not_kept(
    pool: Pool, clock: ManualClock, claims: tuple[Claim, Claim]
) -> None:
    lost, held = claims
    mailboxes = Mailboxes(pool, lease_seconds=15)

    def step(result: str) -> Step:
        return Step(1, (1,), "reply", has_effect=False, result=result, at=clock.now())

    outcomes = await asyncio.gather(
        mailboxes.save_step(lost, step("lost")), mailboxes.save_step(held, step("held")), return_exceptions=True
    )
    assert isinstance(outcomes[0], LeaseLost)
    assert outcomes[1] is None
    assert await pool.fetchval("select result from turn_step") == "held"
