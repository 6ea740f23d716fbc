"""Every event is kept once, in the chat it belongs to."""

import asyncio
import json
import random

import pytest

from greenline.channels.whatsapp.inbox import Inbox
from greenline.clock import ManualClock
from greenline.store.mailbox import Mailboxes
from greenline.store.pool import Pool
from greenline.store.vault import KEY_BYTES, Vault
from support.rows import NUMBER, insert_account, insert_workspace


@pytest.fixture
async def inbox(pool: Pool, dsn: str, clock: ManualClock) -> Inbox:
    await insert_workspace(pool, clock.now())
    await insert_account(pool, clock.now())
    return Inbox(pool, clock, Vault(bytes(KEY_BYTES)))


def message(
    wamid: str, person: str | None = "15551230000", bsuid: str | None = None, **more: object
) -> dict[str, object]:
    ids = {key: value for key, value in (("from", person), ("from_user_id", bsuid)) if value}
    return {"id": wamid, **ids, "timestamp": "1790000000", "type": "text", "text": {"body": "Hi"}, **more}


def status(wamid: str, state: str) -> dict[str, object]:
    return {"id": wamid, "status": state, "timestamp": "1790000000", "recipient_id": "15551230000"}


def body(*messages: object, statuses: object = (), number: str = NUMBER) -> bytes:
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"phone_number_id": number, "display_phone_number": "15550001111"},
        "messages": messages,
        "statuses": statuses,
    }
    entry = {"id": "waba_1", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


async def test_a_message_rings_its_chat(inbox: Inbox, pool: Pool, clock: ManualClock) -> None:
    await inbox.accept(body(message("wamid.1", bsuid="US.1")))
    [claim] = await Mailboxes(pool, lease_seconds=15).claim("me", "chat", clock.now(), 10)
    assert claim.mailbox_id == await pool.fetchval("select id from whatsapp_chat")
    assert "US.1" not in claim.mailbox_id
    assert [item.kind for item in claim.items] == ["message"]


async def test_copies_in_parallel_are_kept_once(inbox: Inbox, pool: Pool) -> None:
    bodies = [body(message(f"wamid.{n}")) for n in range(30)] * 6
    random.Random(7).shuffle(bodies)
    await asyncio.gather(*(inbox.accept(one) for one in bodies))
    assert await pool.fetchval("select count(*) from inbox") == 30
    assert await pool.fetchval("select count(*) from mailbox") == 1


async def test_all_names_of_a_person_lead_to_one_chat(inbox: Inbox, pool: Pool) -> None:
    await inbox.accept(body(message("wamid.1")))
    await inbox.accept(body(message("wamid.2", bsuid="US.9")))
    await inbox.accept(body(message("wamid.3", person=None, bsuid="US.9")))
    chats = await pool.fetch("select distinct mailbox_id from inbox")
    assert len(chats) == 1


async def test_a_stranger_met_twice_at_once_has_one_chat(inbox: Inbox, pool: Pool) -> None:
    await inbox.accept(body(message("wamid.1"), message("wamid.2", bsuid="US.9"), message("wamid.3", None, "US.9")))
    assert await pool.fetchval("select count(distinct mailbox_id) from inbox") == 1
    chat = await pool.fetchrow("select wa_id, bsuid from whatsapp_chat")
    assert chat is not None
    assert (chat["wa_id"], chat["bsuid"]) == ("15551230000", "US.9")


async def test_statuses_need_no_chat(inbox: Inbox, pool: Pool) -> None:
    await inbox.accept(
        body(statuses=[status("wamid.1", "sent"), status("wamid.1", "read"), status("wamid.1", "sent")])
    )
    rows = await pool.fetch("select kind, mailbox_id, done_at from inbox")
    assert [(row["kind"], row["mailbox_id"], row["done_at"]) for row in rows] == [("status", None, None)] * 2


async def test_a_number_of_nobody_is_kept_and_answered_by_nobody(inbox: Inbox, pool: Pool) -> None:
    await inbox.accept(body(message("wamid.1"), number="999"))
    row = await pool.fetchrow("select error, mailbox_id from inbox")
    assert row is not None
    assert (row["error"], row["mailbox_id"]) == ("no account for this number", None)


@pytest.mark.parametrize("size", [1, 2, 100, 1000])
async def test_one_poisoned_item_spoils_no_other(inbox: Inbox, pool: Pool, size: int) -> None:
    place = size // 2
    items: list[object] = [message(f"wamid.{n}", person=f"1555{n:07}") for n in range(size)]
    items[place] = {"id": ["not", "an", "id"], "from": {"no": "digits"}}
    await inbox.accept(body(*items))
    assert await pool.fetchval("select count(*) from inbox where kind = 'message' and done_at is null") == size - 1
    [aside] = await pool.fetch("select body from quarantine")
    assert b"not" in aside["body"]


async def test_nul_and_lone_surrogates_are_kept_as_they_came(inbox: Inbox, pool: Pool) -> None:
    await inbox.accept(body(message("wamid.1", text={"body": "a\u0000b\ud800"})))
    payload = await pool.fetchval("select payload::text from inbox")
    assert "\\u0000" in payload
    assert "\\ud800" in payload


@pytest.mark.parametrize(
    "garbage", [b"", b"{", b"[]", b"null", b'{"entry": 5}', b"\xff\xfe\x00", b'{"entry":[{"changes":[7]}]}']
)
async def test_what_is_no_webhook_is_set_aside_with_its_bytes(inbox: Inbox, pool: Pool, garbage: bytes) -> None:
    await inbox.accept(garbage)
    assert await pool.fetchval("select count(*) from inbox") == 0
    assert await pool.fetchval("select count(*) from quarantine") == 1
