"""Who wrote is forgotten with the last conversation, and still nobody is answered twice."""

from datetime import timedelta
from pathlib import Path

import pytest

from greenline.conversations import service
from greenline.conversations.erasure import forget_people
from greenline.conversations.events import Delivery
from greenline.conversations.retention import Retention
from greenline.store.objects import FolderObjects
from greenline.store.pool import Pool
from support.channel import ANN, Channel
from support.database import all_text
from support.rows import NUMBER, WORKSPACE
from support.wait import until

BSUID = "US.1234567890"
PRIVATE = (ANN, BSUID, "Ann")


async def delete(channel: Channel, conversation_id: str, tmp_path: Path) -> None:
    await service.delete(channel.pool, channel.clock, FolderObjects(tmp_path), WORKSPACE, conversation_id)


async def write(channel: Channel, wamid: str, text: str = "Do you have oolong?") -> None:
    at = str(int(channel.clock.now().timestamp()))
    message = {"from": ANN, "from_user_id": BSUID, "id": wamid, "timestamp": at, "type": "text"}
    contact = {"wa_id": ANN, "user_id": BSUID, "profile": {"name": "Ann"}}
    await channel.deliver("messages", messages=[{**message, "text": {"body": text}}], contacts=[contact])


async def talk(channel: Channel, answers: int = 1) -> str:
    """Ann writes and is answered, her phone tells so; returns the newest conversation's id."""
    await write(channel, f"wamid.HBgL{ANN}.{answers}")
    await channel.told(answers)
    await channel.quiet()
    wamid = await channel.pool.fetchval("select wamid from outbox order by position desc limit 1")
    for state in ("sent", "delivered", "read"):
        await channel.status(channel.meta.sent[-1], state, wamid=wamid)
    await channel.quiet()
    return str((await channel.conversations())[-1]["id"])


async def held(pool: Pool) -> list[str]:
    text = await all_text(pool)
    return [word for word in PRIVATE if word in text]


async def test_nothing_holds_the_person_after_the_last_conversation(channel: Channel, tmp_path: Path) -> None:
    conversation_id = await talk(channel)
    assert await held(channel.pool) == list(PRIVATE)
    sent = channel.meta.sent[0]

    await delete(channel, conversation_id, tmp_path)
    assert await held(channel.pool) == []

    await write(channel, f"wamid.HBgL{ANN}.1")  # Meta repeats what was answered
    await channel.status(sent, "delivered", wamid="wamid.OUT1")
    await channel.quiet()
    assert (await channel.conversations(), len(channel.meta.sent)) == ([], 1)
    assert await held(channel.pool) == []


async def test_who_was_forgotten_is_welcome_again(channel: Channel, tmp_path: Path) -> None:
    await delete(channel, await talk(channel), tmp_path)
    again = await talk(channel, 2)
    assert channel.meta.sent[-1]["to"] == f"+{ANN}"
    [chat] = await channel.pool.fetch("select wa_id, bsuid, profile_name from whatsapp_chat")
    assert tuple(chat) == (ANN, BSUID, "Ann")
    await delete(channel, again, tmp_path)
    assert await held(channel.pool) == []


async def test_a_message_on_its_way_into_a_forgotten_chat_is_answered(channel: Channel, tmp_path: Path) -> None:
    conversation_id = await talk(channel)
    chat_id = await channel.pool.fetchval("select id from whatsapp_chat")
    await delete(channel, conversation_id, tmp_path)
    await channel.pool.execute("insert into chat_identity values ($1, $2, $3)", NUMBER, ANN, chat_id)

    await write(channel, "wamid.NEW")

    assert await channel.told(2) == ["Hello!", "Hello!"]


async def test_one_of_several_conversations_takes_its_own_traces(channel: Channel, tmp_path: Path) -> None:
    first = await talk(channel)
    await channel.pool.execute("update conversation set status = 'done', ended_at = started_at")
    channel.clock.advance(timedelta(days=2))
    second = await talk(channel, 2)
    assert first != second

    await delete(channel, first, tmp_path)

    rows = await channel.pool.fetch("select dedupe from inbox where kind in ('message', 'status') order by id")
    assert [row["dedupe"].split(":")[0] for row in rows] == [f"wamid.HBgL{ANN}.2", *["wamid.OUT2"] * 3]
    assert await channel.pool.fetchval("select wa_id from whatsapp_chat") == ANN
    await delete(channel, second, tmp_path)
    assert await held(channel.pool) == []


async def test_a_person_who_waits_is_forgotten_later(channel: Channel, tmp_path: Path) -> None:
    conversation_id = await talk(channel)
    waiting = "insert into outbox(id, workspace_id, phone_number_id, chat_id, kind, body, state, due_at, created_at)"
    await channel.pool.execute(
        f"{waiting} select 'out_x', $1, $2, id, 'text', '{{}}', 'unknown', $3, $3 from whatsapp_chat",
        WORKSPACE, NUMBER, channel.clock.now() + timedelta(days=1),
    )  # fmt: skip
    await delete(channel, conversation_id, tmp_path)
    assert await held(channel.pool) == list(PRIVATE)
    assert await forget_people(channel.pool, channel.clock.now(), 10) == 0

    await channel.pool.execute("update outbox set state = 'failed'")

    assert await forget_people(channel.pool, channel.clock.now(), 10) == 1
    assert await held(channel.pool) == []


async def test_retention_forgets_the_person_too(channel: Channel, tmp_path: Path) -> None:
    await talk(channel)
    await channel.pool.execute("update conversation set status = 'done', ended_at = started_at")
    promise = '{"retention_days": 1, "delete_transcript_and_pii": true, "delete_audio": false}'
    await channel.pool.execute("update agent set shared = jsonb_set(shared, '{privacy}', $1::text::jsonb)", promise)
    channel.clock.advance(timedelta(days=2))
    retention = Retention(channel.pool, channel.clock, FolderObjects(tmp_path))

    assert await retention.enforce() == 1

    assert await held(channel.pool) == []
    [conversation] = await channel.conversations()
    states = [event.state for event in await channel.journal(conversation["id"]) if isinstance(event, Delivery)]
    assert states == ["accepted", "sent", "delivered", "read"]


@pytest.mark.parametrize("state", ["played", "failed"])
async def test_a_late_status_brings_no_id_back(channel: Channel, tmp_path: Path, state: str) -> None:
    await talk(channel)
    await channel.pool.execute("update conversation set status = 'done', ended_at = started_at")
    promise = '{"retention_days": 0, "delete_transcript_and_pii": true, "delete_audio": false}'
    await channel.pool.execute("update agent set shared = jsonb_set(shared, '{privacy}', $1::text::jsonb)", promise)
    retention = Retention(channel.pool, channel.clock, FolderObjects(tmp_path))
    assert await retention.enforce() == 1

    error = {"code": 1, "title": "Lost", "error_data": {"details": f"{ANN} has no phone"}}
    await channel.status(channel.meta.sent[0], state, wamid=f"wamid.HBgL{ANN}.OUT", errors=[error])
    await channel.quiet()

    assert await channel.pool.fetchval("select wamid from outbox") is None
    [conversation] = await channel.conversations()
    [*_, told] = [event for event in await channel.journal(conversation["id"]) if isinstance(event, Delivery)]
    assert (told.state, told.wamid) == (state, None)
    await channel.whatsapp.inbox.forget_old(channel.clock.now() + timedelta(days=1))
    assert await held(channel.pool) == []


async def test_digests_and_what_could_not_be_read_go_with_the_old_events(channel: Channel, tmp_path: Path) -> None:
    await delete(channel, await talk(channel), tmp_path)
    await channel.whatsapp.inbox.accept(b"not JSON")
    counts = "select (select count(*) from erased_event) > 0, (select count(*) from quarantine)"
    assert tuple(await channel.pool.fetchrow(counts) or ()) == (True, 1)

    await channel.whatsapp.inbox.forget_old(channel.clock.now() + timedelta(days=30))

    async def gone() -> bool:
        return tuple(await channel.pool.fetchrow(counts) or ()) == (False, 0)

    await until(gone)
