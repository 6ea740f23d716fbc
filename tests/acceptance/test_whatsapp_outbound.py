"""A template goes out, the person answers under another id, and the agent goes on in the same conversation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from elevenlabs.client import AsyncElevenLabs

from greenline.settings import Settings
from support.graph_stand_in import NUMBER, WELCOME, GraphStandIn, asking, connect
from support.server import RunningServer
from support.wait import eventually, until
from support.webhooks import deliver


@pytest.fixture
def meta() -> GraphStandIn:
    """Meta's side, which knows the person under another number than the one that is dialled."""
    return GraphStandIn(templates=[WELCOME], names={"+4915112345678": {"wa_id": "4915199999999", "user_id": "DE.77"}})


@pytest.fixture
async def settings(settings: Settings, meta: GraphStandIn) -> AsyncIterator[Settings]:
    """The server of these tests asks the stand-in."""
    async with asking(meta, settings) as changed:
        yield changed


@pytest.fixture
async def agent_id(client: AsyncElevenLabs, http: httpx2.AsyncClient) -> str:
    """An agent, beside a connected number that has none."""
    await connect(http)
    config: Any = {"agent": {"first_message": "Welcome!", "prompt": {"prompt": "You sell roses."}}}
    made = await client.conversational_ai.agents.create(name="Rosie", conversation_config=config)
    agent_id: str = made.agent_id
    return agent_id


def said(wamid: str, **ids: str) -> dict[str, Any]:
    return {"id": wamid, **ids, "timestamp": "1767600000", "type": "text", "text": {"body": "When do you close?"}}


async def send(client: AsyncElevenLabs, agent_id: str) -> str:
    started = await client.conversational_ai.whatsapp.outbound_message(
        whatsapp_phone_number_id=NUMBER,
        whatsapp_user_id="4915112345678",
        template_name="welcome",
        template_language_code="en",
        template_params=[],
        agent_id=agent_id,
    )
    conversation_id: str = started.conversation_id
    return conversation_id


@pytest.mark.parametrize(
    "ids", [{"from": "4915199999999"}, {"from_user_id": "DE.77"}, {"from": "4915112345678", "from_user_id": "DE.77"}]
)
async def test_the_reply_goes_on_in_the_conversation_of_the_template(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, meta: GraphStandIn, agent_id: str, ids: dict[str, str]
) -> None:
    conversation_id = await send(client, agent_id)

    async def accepted() -> bool:
        found = await client.conversational_ai.conversations.get(conversation_id)
        whatsapp = found.metadata.whatsapp
        return bool(whatsapp and whatsapp.opening_message and whatsapp.opening_message.wamid)

    await until(accepted)
    (message,) = meta.sent
    assert message["to"] == "+4915112345678"
    assert message["type"] == "template"
    assert message["template"] == {"name": "welcome", "language": {"code": "en"}}
    waiting = await client.conversational_ai.conversations.get(conversation_id)
    assert waiting.status == "initiated"
    assert waiting.metadata.whatsapp is not None
    assert waiting.metadata.whatsapp.awaiting_first_user_message
    assert waiting.metadata.whatsapp.direction == "outbound"
    assert waiting.metadata.main_language == "en"
    (listed,) = (await client.conversational_ai.conversations.list(main_languages=["en"])).conversations
    assert (listed.conversation_id, listed.main_language) == (conversation_id, "en")
    assert [turn.message for turn in waiting.transcript] == ["Hello Ann, your roses are ready."]

    await deliver(http, messages=[said("wamid.IN1", **ids)])

    async def answered() -> bool:
        return len(meta.sent) == 2

    await until(answered)
    found = await client.conversational_ai.conversations.get(conversation_id)
    assert found.status == "in-progress"
    roles = [(turn.role, turn.message) for turn in found.transcript]
    assert roles[0] == ("agent", "Hello Ann, your roses are ready.")
    assert roles[1] == ("user", "When do you close?")
    assert roles[2][0] == "agent"
    assert all(text != "Welcome!" for _, text in roles)
    assert len((await client.conversational_ai.conversations.list()).conversations) == 1


async def test_a_template_that_nobody_has_answered_does_not_wait_for_an_agent_that_is_gone(
    client: AsyncElevenLabs, agent_id: str
) -> None:
    conversation_id = await send(client, agent_id)
    await client.conversational_ai.agents.delete(agent_id)

    async def over() -> bool:
        found = await client.conversational_ai.conversations.get(conversation_id)
        return bool(found.metadata.termination_reason == "The agent was deleted")

    await until(over)


async def count(server: RunningServer, query: str) -> int:
    return int(await server.services.pool.fetchval(query))


async def has_learned(server: RunningServer, chats: int) -> None:
    """Wait until what Meta answered is known: all ids lead to so many chats, and nothing is under way."""

    async def known() -> bool:
        led = await count(server, "select count(distinct chat_id) from chat_identity")
        sent = await count(server, "select count(*) from outbox where state = 'accepted'")
        return led == chats and sent > 0

    await until(known)


@pytest.mark.parametrize("ids", [{"from": "4915199999999"}, {"from": "4915199999999", "from_user_id": "DE.77"}])
async def test_a_person_who_had_written_before_replies_in_the_conversation_of_the_template(
    client: AsyncElevenLabs,
    http: httpx2.AsyncClient,
    meta: GraphStandIn,
    agent_id: str,
    server: RunningServer,
    ids: dict[str, str],
) -> None:
    """Meta's name of the person leads to a chat of its own, with an open conversation: the newer one goes on."""
    await client.conversational_ai.whatsapp_accounts.update(NUMBER, assigned_agent_id=agent_id)
    await deliver(http, messages=[said("wamid.IN0", **{"from": "4915199999999"})])
    await eventually(lambda: len(meta.sent) == 1)
    before = (await client.conversational_ai.conversations.list()).conversations[0].conversation_id
    conversation_id = await send(client, agent_id)
    await eventually(lambda: len(meta.sent) == 2)
    await has_learned(server, 1)

    await deliver(http, messages=[said("wamid.IN1", **ids)])
    await eventually(lambda: len(meta.sent) == 3)

    found = await client.conversational_ai.conversations.get(conversation_id)
    assert [turn.role for turn in found.transcript] == ["agent", "user", "agent"]
    older = await client.conversational_ai.conversations.get(before)
    assert older.metadata.termination_reason == "A newer conversation with the same person began"
    assert meta.sent[2]["to"] == "+4915199999999"


@pytest.mark.parametrize("told", [True, False])
async def test_a_reply_under_a_user_id_that_had_a_chat_finds_the_template(
    client: AsyncElevenLabs,
    http: httpx2.AsyncClient,
    meta: GraphStandIn,
    agent_id: str,
    server: RunningServer,
    *,
    told: bool,
) -> None:
    """Whether Meta's answer to the template names the user id, or only the reply does."""
    meta.names = {"+4915112345678": {"wa_id": "4915112345678", **({"user_id": "DE.77"} if told else {})}}
    await deliver(http, messages=[said("wamid.IN0", from_user_id="DE.77")])
    conversation_id = await send(client, agent_id)
    await eventually(lambda: len(meta.sent) == 1)
    await has_learned(server, 1 if told else 2)

    await deliver(http, messages=[said("wamid.IN1", **{"from": "4915112345678", "from_user_id": "DE.77"})])
    await eventually(lambda: len(meta.sent) == 2)

    found = await client.conversational_ai.conversations.get(conversation_id)
    assert [turn.role for turn in found.transcript] == ["agent", "user", "agent"]
    assert found.status == "in-progress"
