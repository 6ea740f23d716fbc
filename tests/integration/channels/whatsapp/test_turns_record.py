"""The conversation shows what was said, and all of it: beginnings, failures, quotes, silent events."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from greenline.clock import ManualClock
from greenline.conversations.events import AgentMessage, Noted, Resumed, Started, UserMessage
from greenline.llm.models import ModelReply, ModelRequest, ToolCall
from greenline.settings import Settings
from greenline.store.pool import Pool
from support.channel import ANN, Channel, running_channel
from support.wait import until

WELCOME: dict[str, Any] = {"prompt": {"prompt": "x"}, "first_message": "Welcome!"}


@pytest.fixture
async def channel(pool: Pool, dsn: str, clock: ManualClock, settings: Settings) -> AsyncIterator[Channel]:
    async with running_channel(pool, dsn, clock, settings, WELCOME) as running:
        yield running


async def only_journal(channel: Channel) -> list[Any]:
    await channel.quiet()
    [conversation] = await channel.conversations()
    return await channel.journal(conversation["id"])


def said(journal: list[Any]) -> list[tuple[str, bool]]:
    """What the agent said, and whether a message carried it."""
    return [(event.text, bool(event.outbox_ids)) for event in journal if isinstance(event, AgentMessage)]


async def test_the_first_message_goes_with_the_answer_to_what_cannot_be_opened(
    channel: Channel, settings: Settings
) -> None:
    await channel.hear(type="unsupported", unsupported={"type": "poll"})
    assert await channel.told(1) == [f"Welcome!\n\n{settings.unsupported_message}"]
    assert said(await only_journal(channel)) == [("Welcome!", True), (settings.unsupported_message, True)]


async def test_a_fault_of_the_server_loses_no_words(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    once = settings.model_copy(update={"turn_max_attempts": 1})

    def break_down(request: ModelRequest) -> str:
        raise RuntimeError("a bug")

    async with running_channel(pool, dsn, clock, once, WELCOME) as channel:
        channel.model.say = break_down
        wamid = await channel.hear("my order is 77")
        assert await channel.told(1) == [f"Welcome!\n\n{settings.failure_message}"]
        journal = await only_journal(channel)
        assert said(journal) == [("Welcome!", True), (settings.failure_message, True)]
        [heard] = [event for event in journal if isinstance(event, UserMessage)]
        assert (heard.text, heard.wamid) == ("my order is 77", wamid)


async def test_a_conversation_that_cannot_be_shows_no_first_message(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    agent = {"prompt": {"prompt": "Greet {{customer_name}}."}, "first_message": "Welcome!"}
    async with running_channel(pool, dsn, clock, settings, agent) as channel:
        await channel.hear("Hi")
        assert await channel.told(1) == [settings.failure_message]
        journal = await only_journal(channel)
        assert said(journal) == [(settings.failure_message, True)]
        assert [event.text for event in journal if isinstance(event, UserMessage)] == ["Hi"]


async def test_a_prompt_knows_the_time_in_the_agents_zone(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    agent = {"prompt": {"prompt": "It is {{system__time}}, {{system__timezone}}.", "timezone": "Asia/Tokyo"}}
    async with running_channel(pool, dsn, clock, settings, agent) as channel:
        await channel.hear()
        await channel.told(1)
        local = clock.now() + timedelta(hours=9)
        prompt = channel.model.requests[0].messages[0].text
        assert f"It is {local:%A, %H:%M} {local.day} {local:%B %Y}, Asia/Tokyo." in prompt


@pytest.mark.parametrize(
    "event",
    [
        {"type": "system", "system": {"type": "customer_identity_changed", "body": "x"}},
        {"type": "revoke", "revoke": {"original_message_id": "wamid.IN1"}},
        {"type": "reaction", "reaction": {"message_id": "wamid.IN1", "emoji": ""}},
        {
            "type": "interactive",
            "interactive": {"type": "call_permission_reply", "call_permission_reply": {"response": "accept"}},
        },
    ],
)
async def test_what_says_nothing_does_not_answer_the_business(channel: Channel, event: dict[str, Any]) -> None:
    """A conversation that a template began waits for a word of the person, without a timer."""
    await channel.hear()
    await channel.told(1)
    await channel.quiet()
    await channel.pool.execute(
        "update conversation set awaiting_first_user_message = true, status = 'initiated', accepted_at = null"
    )
    await channel.hear(**event)
    await channel.quiet()
    [conversation] = await channel.conversations()
    assert (conversation["status"], conversation["awaiting_first_user_message"]) == ("initiated", True)
    assert any(isinstance(event, Noted) for event in await channel.journal(conversation["id"]))
    channel.clock.advance(timedelta(days=2))
    await channel.hear("Hello?")
    await channel.quiet()
    [conversation] = await channel.conversations()
    assert conversation["status"] == "in-progress"
    kinds = [type(event) for event in await channel.journal(conversation["id"])]
    assert kinds.count(Resumed) == kinds.count(Started) == 1


def choices(request: ModelRequest) -> ModelReply | str:
    if len([message for message in request.messages if message.role == "user"]) > 1:
        return "Good choice."
    buttons = {"body_text": "Which tea?", "buttons": [{"id": "a", "title": "Oolong"}]}
    return ModelReply("m", "", (ToolCall("c1", "send_interactive_buttons", buttons),))


async def test_a_quote_of_buttons_brings_their_words(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    agent = {"prompt": {"prompt": "x", "built_in_tools": {"send_interactive_buttons": {}}}}
    async with running_channel(pool, dsn, clock, settings, {**WELCOME, **agent}) as channel:
        channel.model.say = choices
        await channel.hear("tea?")
        await channel.told(1)
        await channel.quiet()
        await channel.hear("this one", context={"id": (await channel.outbox())[0]["wamid"], "from": "1"})
        await channel.told(2)
        heard = channel.model.requests[-1].messages[-1].text
        assert heard == "[In reply to: “Welcome!\n\nWhich tea?\n[Oolong]”]\nthis one"


async def test_a_quote_of_ones_own_words_brings_them(channel: Channel) -> None:
    wamid = await channel.hear("I want oolong")
    await channel.told(1)
    await channel.quiet()
    await channel.hear("still", context={"id": wamid, "from": ANN})
    await channel.told(2)
    assert channel.model.requests[-1].messages[-1].text == "[In reply to: “I want oolong”]\nstill"


async def test_a_backup_that_cannot_be_had_does_not_keep_the_model_from_answering(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    prompt = {"prompt": "x", "backup_llm_config": {"preference": "override", "order": ["custom-llm"]}}
    own = {"url": "https://x.example/v1", "request_headers": {"X-A": {"variable_name": "nowhere"}}}
    async with running_channel(pool, dsn, clock, settings, {"prompt": {**prompt, "custom_llm": own}}) as channel:
        await channel.hear()
        assert await channel.told(1) == ["Hello!"]
        [request] = channel.model.requests
        assert request.custom_llm is None
        assert "X-A: the conversation has no dynamic variable nowhere" in request.custom_llm_fault


async def test_typing_is_shown_again_while_the_agent_works(channel: Channel) -> None:
    channel.model.hold = asyncio.Event()
    wamid = await channel.hear()

    async def shown(times: int) -> bool:
        return len(channel.meta.read) >= times

    await until(lambda: shown(1))
    for times in (2, 3):

        async def again(times: int = times) -> bool:
            channel.clock.advance(timedelta(seconds=20))
            return await shown(times)

        await until(again)
    channel.model.hold.set()
    await channel.told(1)
    assert {(read["message_id"], read["typing_indicator"]["type"]) for read in channel.meta.read} == {(wamid, "text")}
