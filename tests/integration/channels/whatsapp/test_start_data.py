"""Chats whose start data a webhook brings."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from greenline.clock import ManualClock
from greenline.conversations import service
from greenline.conversations.events import AgentMessage, Noted, Started, UserMessage
from greenline.conversations.views import ConversationView
from greenline.settings import Settings
from greenline.store.pool import Pool
from support.channel import ANN, Channel, running_channel
from support.database import all_text
from support.rows import NUMBER, WORKSPACE
from support.scripted import Answer, answer
from support.start_data import asks, start_webhook
from support.wait import eventually

AGENT = {"first_message": "Hello {{name}}!", "prompt": {"prompt": "You sell tea to {{name}}."}}
PLAIN = {"first_message": "Hello!", "prompt": {"prompt": "You sell tea."}}


@pytest.fixture
async def channel(pool: Pool, dsn: str, clock: ManualClock, settings: Settings) -> AsyncIterator[Channel]:
    async with running_channel(pool, dsn, clock, settings) as running:
        yield running


async def view(channel: Channel) -> ConversationView:
    """The only conversation."""
    await channel.quiet()
    [row] = await channel.conversations()
    return await service.get(channel.pool, WORKSPACE, row["id"], link=lambda file: "")


async def test_a_conversation_begins_with_what_the_webhook_brings_and_asks_it_once(channel: Channel) -> None:
    variables = {"name": "Ann", "secret__token": "tok-77"}
    async with start_webhook(dynamic_variables=variables, user_id="crm_7", environment="production") as server:
        await channel.configure({"agent": AGENT}, **asks(server.url))
        await channel.hear("Hi")
        assert await channel.told(1) == ["Hello Ann!\n\nHello!"]
        await channel.quiet()
        await channel.hear("Still there?")
        await channel.told(2)
    found = await view(channel)
    [request] = server.requests
    assert (request.json["caller_id"], request.json["called_number"]) == (ANN, NUMBER)
    assert request.json["conversation_id"] == found.conversation_id
    assert found.user_id == "crm_7"
    assert found.metadata.whatsapp is not None
    assert found.metadata.whatsapp.whatsapp_user_id == ANN
    assert found.conversation_initiation_client_data.dynamic_variables["name"] == "Ann"
    assert channel.model.requests[0].messages[0].text.startswith("You sell tea to Ann.")
    journal = await channel.journal(found.conversation_id)
    assert [type(event) for event in journal][:4] == [Started, Noted, AgentMessage, UserMessage]
    assert "tok-77" not in await all_text(channel.pool)
    assert found.metadata.warnings == []


async def test_fragments_that_begin_a_conversation_ask_for_its_data_once(channel: Channel) -> None:
    async with start_webhook(dynamic_variables={"name": "Ann"}) as server:
        await channel.configure({"agent": AGENT}, **asks(server.url))
        channel.model.hold = asyncio.Event()
        await channel.hear("Hi")
        await eventually(lambda: channel.model.requests)
        await channel.hear("my order")
        await eventually(lambda: channel.model.cancelled)
        channel.model.hold.set()
        await channel.told(1)
    found = await view(channel)
    assert [request.json["conversation_id"] for request in server.requests] == [found.conversation_id]
    assert "Hi\nmy order" in channel.model.requests[-1].messages[-1].text


@pytest.mark.parametrize(
    "reply",
    [
        answer({"dynamic_variables": {"a": "x\0"}}),
        answer({"environment": "p\0"}),
        Answer(body=b'{"x":' + b"[" * 300 + b"]" * 300 + b"}"),
    ],
)
async def test_an_answer_that_can_not_be_kept_leaves_the_person_answered(channel: Channel, reply: Answer) -> None:
    async with start_webhook(reply=reply) as server:
        await channel.configure({"agent": PLAIN}, **asks(server.url))
        await channel.hear("Hi")
        assert await channel.told(1) == ["Hello!\n\nHello!"]
    found = await view(channel)
    assert len(found.metadata.warnings) == 1
    assert len(server.requests) == 1


async def test_a_webhook_that_fails_stops_only_a_conversation_that_needs_it(channel: Channel) -> None:
    async with start_webhook(reply=answer({}, 503)) as server:
        await channel.configure({"agent": PLAIN}, **asks(server.url))
        await channel.hear("Hi")
        assert await channel.told(1) == ["Hello!\n\nHello!"]
    found = await view(channel)
    assert found.status == "in-progress"
    [warning] = found.metadata.warnings
    assert warning.startswith("The conversation began without the data of its webhook: The webhook answered with")


@pytest.mark.parametrize(
    ("brings", "reason"),
    [
        ({}, "Missing required dynamic variables: name."),
        ({"dynamic_variables": {"system__time": "now"}}, "names that begin with system__ are set by the server"),
        ({"branch_id": "agtbrch_none"}, "branch"),
        ({"environment": "moon"}, "environment"),
        (
            {"conversation_config_override": {"agent": {"first_message": "Hi"}}},
            "Override for field 'first_message' is not allowed by config.",
        ),
    ],
)
async def test_start_data_that_does_not_do_ends_the_conversation_with_its_reason(
    channel: Channel, brings: dict[str, Any], reason: str
) -> None:
    async with start_webhook(**brings) as server:
        await channel.configure({"agent": AGENT}, **asks(server.url))
        await channel.hear("Hi")
        await channel.told(1)
    found = await view(channel)
    assert (found.status, found.metadata.error is not None) == ("failed", True)
    assert found.metadata.error is not None
    assert reason in str(found.metadata.error.reason)
    assert channel.model.requests == []


@contextlib.asynccontextmanager
async def changed(pool: Pool, change: str, undo: str) -> AsyncIterator[None]:
    """A database that is changed for a while."""
    await pool.execute(change)
    try:
        yield
    finally:
        await pool.execute(undo)


async def test_what_the_database_refuses_is_given_up_and_the_chat_goes_on(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    once = settings.model_copy(update={"turn_max_attempts": 1})
    refusal = "alter table conversation add constraint refused check (user_id <> 'nobody')"
    async with (
        start_webhook(user_id="nobody") as server,
        running_channel(pool, dsn, clock, once) as channel,
        changed(pool, refusal, "alter table conversation drop constraint refused"),
    ):
        await channel.configure({"agent": PLAIN}, **asks(server.url))
        with capture_logs() as logs:
            await channel.hear("Hi")
            await channel.quiet()
        assert [line["event"] for line in logs].count("turn.not_apologised") == 1
        assert (await pool.fetchval("select error from inbox")).startswith("CheckViolationError: ")
        await channel.configure(overrides={"enable_conversation_initiation_client_data_from_webhook": False})
        await channel.hear("Are you there?")
        assert await channel.told(1) == ["Hello!\n\nHello!"]
