"""What does not reach the person is told in its conversation, and no conversation waits for an answer to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from elevenlabs.client import AsyncElevenLabs
from elevenlabs.types import GetConversationResponseModel

from greenline.settings import Settings
from support.graph_stand_in import NUMBER, WELCOME, GraphStandIn, asking, connect, meta_error
from support.wait import eventually, until
from support.webhooks import deliver

PERSON = "4915112345678"
NO_WHATSAPP = {"code": 131026, "title": "Message undeliverable", "error_data": {"details": "No WhatsApp there."}}


@pytest.fixture
def meta() -> GraphStandIn:
    return GraphStandIn(templates=[WELCOME])


@pytest.fixture
async def settings(settings: Settings, meta: GraphStandIn) -> AsyncIterator[Settings]:
    """The server of these tests asks the stand-in."""
    async with asking(meta, settings) as changed:
        yield changed


@pytest.fixture
async def agent_id(client: AsyncElevenLabs, http: httpx2.AsyncClient) -> str:
    """An agent, beside a connected number that has none."""
    await connect(http)
    config: Any = {"agent": {"prompt": {"prompt": "You sell roses."}}}
    made = await client.conversational_ai.agents.create(name="Rosie", conversation_config=config)
    agent_id: str = made.agent_id
    return agent_id


async def send(client: AsyncElevenLabs, agent_id: str) -> str:
    started = await client.conversational_ai.whatsapp.outbound_message(
        whatsapp_phone_number_id=NUMBER,
        whatsapp_user_id=PERSON,
        template_name="welcome",
        template_language_code="en",
        template_params=[],
        agent_id=agent_id,
    )
    conversation_id: str = started.conversation_id
    return conversation_id


async def write(http: httpx2.AsyncClient, wamid: str, text: str) -> None:
    message = {"id": wamid, "from": PERSON, "timestamp": "1767600000", "type": "text", "text": {"body": text}}
    await deliver(http, messages=[message])


async def fail(http: httpx2.AsyncClient, meta: GraphStandIn, error: dict[str, Any] = NO_WHATSAPP) -> None:
    """Meta tells that the last message that it accepted was not delivered.

    Perhaps before its answer is here: what was sent with the message tells which one it is.
    """
    status = {
        "id": f"wamid.OUT{len(meta.sent)}",
        "status": "failed",
        "timestamp": "1767600001",
        "recipient_id": PERSON,
        "errors": [error],
        "biz_opaque_callback_data": meta.sent[-1]["biz_opaque_callback_data"],
    }
    await deliver(http, statuses=[status])


async def ended(client: AsyncElevenLabs, conversation_id: str) -> GetConversationResponseModel:
    """The conversation once nothing of it is under way."""

    async def over() -> bool:
        return (await client.conversational_ai.conversations.get(conversation_id)).status in ("done", "failed")

    await until(over)
    found: GetConversationResponseModel = await client.conversational_ai.conversations.get(conversation_id)
    return found


@pytest.mark.parametrize("refused", [True, False], ids=["refused", "not delivered"])
async def test_a_conversation_whose_template_failed_has_failed(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, meta: GraphStandIn, agent_id: str, *, refused: bool
) -> None:
    if refused:
        meta.refuse["POST messages"] = meta_error(131026)
    conversation_id = await send(client, agent_id)
    if not refused:
        await eventually(lambda: len(meta.sent) == 1)
        await fail(http, meta)

    found = await ended(client, conversation_id)

    assert found.status == "failed"
    assert found.metadata.error is not None
    assert found.metadata.error.code == 131026
    assert "131026" in (found.metadata.error.reason or "")
    assert found.metadata.termination_reason == "The message that began it did not reach the person"
    assert found.analysis is not None
    assert found.analysis.call_successful == "failure"
    told: Any = found.metadata.whatsapp
    assert told.opening_message.error_code == "131026"
    assert told.awaiting_first_user_message is False
    assert (told.last_failure["error_code"], told.last_failure["wamid"]) == (
        "131026",
        None if refused else "wamid.OUT1",
    )
    (listed,) = (await client.conversational_ai.conversations.list(call_successful="failure")).conversations
    assert listed.conversation_id == conversation_id


async def test_a_template_that_failed_ends_no_other_conversation(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, meta: GraphStandIn, agent_id: str
) -> None:
    await client.conversational_ai.whatsapp_accounts.update(NUMBER, assigned_agent_id=agent_id)
    await write(http, "wamid.IN1", "When do you close?")
    await eventually(lambda: len(meta.sent) == 1)
    (before,) = (await client.conversational_ai.conversations.list()).conversations
    failed_id = await send(client, agent_id)
    await eventually(lambda: len(meta.sent) == 2)
    await fail(http, meta)
    assert (await ended(client, failed_id)).status == "failed"

    await write(http, "wamid.IN2", "And on Sundays?")
    await eventually(lambda: len(meta.sent) == 3)

    found = await client.conversational_ai.conversations.get(before.conversation_id)
    assert found.status == "in-progress"
    assert [turn.message for turn in found.transcript if turn.role == "user"] == [
        "When do you close?",
        "And on Sundays?",
    ]


async def test_of_a_template_that_nobody_answered_it_is_not_known_whether_it_succeeded(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, meta: GraphStandIn, agent_id: str
) -> None:
    first = await send(client, agent_id)
    second = await send(client, agent_id)
    await eventually(lambda: len(meta.sent) == 2)
    await write(http, "wamid.IN1", "When do you close?")

    found = await ended(client, first)

    assert found.metadata.termination_reason == "A newer conversation with the same person began"
    assert found.analysis is not None
    assert (found.status, found.analysis.call_successful) == ("done", "unknown")
    assert (await client.conversational_ai.conversations.get(second)).status == "in-progress"
    listed = (await client.conversational_ai.conversations.list(call_successful="success")).conversations
    assert listed == []


async def test_of_a_template_whose_number_is_removed_it_is_not_known_whether_it_succeeded(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, meta: GraphStandIn, agent_id: str
) -> None:
    conversation_id = await send(client, agent_id)
    await eventually(lambda: len(meta.sent) == 1)
    await client.conversational_ai.whatsapp_accounts.delete(NUMBER)

    found = await ended(client, conversation_id)
    assert found.analysis is not None
    assert (found.status, found.analysis.call_successful) == ("done", "unknown")


async def test_the_message_that_failed_last_is_told_whatever_it_was(
    client: AsyncElevenLabs, http: httpx2.AsyncClient, meta: GraphStandIn, agent_id: str
) -> None:
    await client.conversational_ai.whatsapp_accounts.update(NUMBER, assigned_agent_id=agent_id)
    await write(http, "wamid.IN1", "When do you close?")
    await eventually(lambda: len(meta.sent) == 1)
    (listed,) = (await client.conversational_ai.conversations.list()).conversations
    none: Any = (await client.conversational_ai.conversations.get(listed.conversation_id)).metadata.whatsapp
    assert none.last_failure is None
    await fail(http, meta)

    async def failure() -> Any:
        found: Any = (await client.conversational_ai.conversations.get(listed.conversation_id)).metadata.whatsapp
        return found.last_failure

    await until(failure)
    told = await failure()
    assert told["outbox_id"].startswith("out_")
    assert (told["wamid"], told["failed_at_unix"]) == ("wamid.OUT1", 1767600001)
    assert told["reason"] == "131026, Message undeliverable, No WhatsApp there."
    assert (await client.conversational_ai.conversations.get(listed.conversation_id)).status == "in-progress"
