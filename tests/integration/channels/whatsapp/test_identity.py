"""Who a person is when numbers and ids change: they keep their thread, and nobody else gets it."""

from datetime import timedelta
from typing import Any

import pytest

from greenline.conversations.events import Noted
from support.channel import ANN, Channel

NEW = "15558880000"


@pytest.fixture
def channel(channel: Channel) -> Channel:
    channel.model.say = lambda request: f"answer to {request.messages[-1].text}"
    return channel


async def hears(channel: Channel, text: str, person: str = ANN, **more: Any) -> list[str]:
    """What the model is asked when a person writes: all it knows."""
    await channel.quiet()
    before = len(channel.model.requests)
    await channel.hear(text, person, **more)
    await channel.quiet()
    [request] = [asked for asked in channel.model.requests[before:] if asked.messages[-1].text == text]
    return [message.text for message in request.messages]


def changed(**system: Any) -> dict[str, Any]:
    return {"type": "system", "text": None, "system": {"type": "user_changed_number", "body": "x", **system}}


async def tell_new_id(channel: Channel, previous: str, current: str, wa_id: str = ANN) -> None:
    ids = {"previous": previous, "current": current}
    await channel.deliver("user_id_update", user_id_update=[{"wa_id": wa_id, "user_id": ids, "timestamp": "1"}])
    await channel.quiet()


async def led(channel: Channel) -> dict[str, str]:
    rows = await channel.pool.fetch("select identifier, chat_id from chat_identity order by identifier")
    return {row["identifier"]: row["chat_id"] for row in rows}


async def test_a_new_number_keeps_the_thread_and_leaves_the_old_one(channel: Channel) -> None:
    await hears(channel, "my order is 77")
    await channel.hear(**changed(wa_id=NEW))
    await channel.quiet()
    assert list(await led(channel)) == [NEW]
    assert any("my order is 77" in text for text in await hears(channel, "still me", NEW))
    assert channel.meta.texts(NEW) == ["answer to still me"]


async def test_whoever_gets_the_old_number_is_somebody_else(channel: Channel) -> None:
    await hears(channel, "my secret order is 77", from_user_id="US.1")
    await channel.hear(**changed(wa_id=NEW, user_id="US.2", previous_user_id="US.1"))
    await channel.quiet()
    channel.clock.advance(timedelta(days=2))
    known = await hears(channel, "Hi, I am Bob", from_user_id="US.9")
    assert not any("secret" in text for text in known)
    ids = await led(channel)
    assert ids["US.1"] == ids["US.2"] == ids[NEW] != ids[ANN] == ids["US.9"]


async def test_a_number_that_somebody_else_has_leads_to_them_though_nobody_told(channel: Channel) -> None:
    """The former owner left for good: Meta has nothing to tell. What is sent to them goes to their own id."""
    await hears(channel, "my secret order is 77", from_user_id="US.1")
    known = await hears(channel, "Hi, I am Bob", from_user_id="US.9")
    assert not any("secret" in text for text in known)
    ids = await led(channel)
    assert ids["US.1"] != ids["US.9"] == ids[ANN]
    assert await channel.pool.fetchval("select wa_id from whatsapp_chat where id = $1", ids["US.1"]) is None


async def test_a_new_id_keeps_the_thread(channel: Channel) -> None:
    await hears(channel, "my order is 77", from_user_id="US.1")
    await tell_new_id(channel, "US.1", "US.2")
    assert any("my order is 77" in text for text in await hears(channel, "me", from_user_id="US.2"))
    assert len(set((await led(channel)).values())) == 1


async def test_who_writes_under_a_new_id_before_meta_tells_of_it_has_one_chat_then(channel: Channel) -> None:
    await hears(channel, "my order is 77", from_user_id="US.1")
    assert not any("77" in text for text in await hears(channel, "make it green", from_user_id="US.2"))
    await tell_new_id(channel, "US.1", "US.2")
    channel.clock.advance(timedelta(hours=1))
    await channel.quiet()
    known = "\n".join(await hears(channel, "and?", from_user_id="US.2"))
    assert "my order is 77" in known
    assert "make it green" in known
    assert len(set((await led(channel)).values())) == 1
    assert {row["status"] for row in (await channel.conversations())[:2]} <= {"processing", "done"}


async def test_who_writes_from_a_new_number_before_meta_tells_of_it_has_one_chat_then(channel: Channel) -> None:
    await hears(channel, "my order is 77")
    await hears(channel, "make it green", NEW)
    await channel.hear(**changed(wa_id=NEW))
    await channel.quiet()
    assert list(await led(channel)) == [NEW]
    *_, newest = await channel.conversations()
    assert any(isinstance(event, Noted) for event in await channel.journal(newest["id"]))
    assert {row["chat_id"] for row in await channel.conversations()} == {(await led(channel))[NEW]}
    assert channel.meta.texts(NEW) == ["answer to make it green"]


async def test_a_number_that_belonged_to_another_is_taken_without_their_words(channel: Channel) -> None:
    await hears(channel, "my secret order is 99", NEW, from_user_id="US.9")
    channel.clock.advance(timedelta(days=30))
    await channel.quiet()
    await hears(channel, "my order is 77", from_user_id="US.1")
    await channel.hear(**changed(wa_id=NEW, user_id="US.1", previous_user_id="US.1"))
    await channel.quiet()
    known = "\n".join(await hears(channel, "me", NEW, from_user_id="US.1"))
    assert "77" in known
    assert "secret" not in known
    ids = await led(channel)
    assert ids[NEW] == ids["US.1"] != ids["US.9"]


async def test_a_person_without_a_number_is_answered_under_their_id(channel: Channel) -> None:
    message = {
        "from_user_id": "US.5",
        "id": "wamid.NONUMBER",
        "timestamp": str(int(channel.clock.now().timestamp())),
        "type": "text",
        "text": {"body": "Hi"},
    }
    contacts = [{"user_id": "US.5", "profile": {"name": "Bo"}}]
    await channel.deliver("messages", messages=[message], contacts=contacts)
    assert await channel.told(1, "US.5") == ["answer to Hi"]
    [sent] = channel.meta.sent
    assert (sent.get("to"), sent["recipient"]) == (None, "US.5")
    await channel.quiet()
    [conversation] = await channel.conversations()
    assert conversation["user_id"] == "US.5"


async def test_marketing_is_stopped_as_the_person_said_last(channel: Channel) -> None:
    await hears(channel, "Hi")

    async def prefer(value: str, at: int) -> bool:
        preference = {"wa_id": ANN, "category": "marketing_messages", "value": value, "timestamp": at}
        await channel.deliver("user_preferences", user_preferences=[preference])
        await channel.quiet()
        return bool(await channel.pool.fetchval("select marketing_stopped from whatsapp_chat"))

    assert await prefer("stop", 1_770_000_010)
    assert not await prefer("resume", 1_770_000_020)
    assert not await prefer("stop", 1_770_000_015)  # told late
    assert await prefer("stop", 1_770_000_030)


async def test_a_copy_of_what_another_answers_opens_the_window_and_is_not_answered(channel: Channel) -> None:
    at = int(channel.clock.now().timestamp())
    message = {"from": ANN, "id": "wamid.COPY", "timestamp": str(at), "type": "text", "text": {"body": "Hi"}}
    await channel.deliver("standby", standby={"messages": [message], "contacts": [{"wa_id": ANN}]})
    await channel.quiet()
    assert channel.meta.sent == channel.meta.read == []
    assert channel.model.requests == []
    window = await channel.pool.fetchval("select last_user_message_at from whatsapp_chat")
    assert int(window.timestamp()) == at
