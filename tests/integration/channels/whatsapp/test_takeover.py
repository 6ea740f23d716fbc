"""A human takes over a chat: the agent is silent, the human speaks, and hands back."""

import asyncio
from datetime import timedelta

import pytest

from greenline.channels.orders import Command, Order, place
from greenline.clock import ManualClock
from greenline.conversations.events import AgentMessage, Ended, HumanTakeover, UserMessage
from greenline.conversations.models import ConversationNotFound, ConversationOver
from support.channel import Channel
from support.rows import WORKSPACE
from support.wait import until


async def begun(channel: Channel) -> str:
    await channel.hear("Hi")
    await channel.told(1)
    await channel.quiet()
    return str((await channel.conversations())[0]["id"])


async def order(channel: Channel, conversation_id: str, command: Command, text: str = "") -> None:
    await place(channel.pool, channel.clock, WORKSPACE, conversation_id, Order(command, text))
    await channel.quiet()


async def test_while_a_human_speaks_the_agent_is_silent(channel: Channel) -> None:
    conversation_id = await begun(channel)
    await order(channel, conversation_id, "enable_human_takeover")
    await channel.hear("Is anybody there?")
    await channel.quiet()
    assert channel.meta.texts() == ["Hello!"]
    await order(channel, conversation_id, "send_human_message", "Yes, it's Tom. How can I help?")
    assert await channel.told(2) == ["Hello!", "Yes, it's Tom. How can I help?"]
    await order(channel, conversation_id, "disable_human_takeover")
    await channel.hear("Thanks")
    assert (await channel.told(3))[-1] == "Hello!"
    await channel.quiet()
    journal = await channel.journal(conversation_id)
    said = [event for event in journal if isinstance(event, UserMessage | AgentMessage | HumanTakeover)]
    assert [
        event.active if isinstance(event, HumanTakeover) else getattr(event, "origin", "person") for event in said
    ] == ["person", "model", True, "person", "human", False, "person", "model"]


async def test_what_the_human_left_open_is_answered_when_they_hand_back(channel: Channel) -> None:
    conversation_id = await begun(channel)
    await order(channel, conversation_id, "enable_human_takeover")
    await channel.hear("Is my order there?")
    await channel.quiet()
    await order(channel, conversation_id, "disable_human_takeover")
    assert await channel.told(2) == ["Hello!", "Hello!"]
    assert channel.model.requests[-1].messages[-1].text == "Is my order there?"
    await order(channel, conversation_id, "enable_human_takeover")
    await order(channel, conversation_id, "disable_human_takeover")
    assert len(channel.model.requests) == 2, "nothing was left open"


async def test_nothing_is_owed_where_no_human_had_taken_over(channel: Channel) -> None:
    channel.model.say = lambda _: ""  # the agent leaves the person alone
    await channel.hear("Wait a moment")
    await channel.quiet()
    conversation_id = str((await channel.conversations())[0]["id"])
    await order(channel, conversation_id, "disable_human_takeover")
    assert len(channel.model.requests) == 1


async def test_a_human_who_takes_over_again_or_hands_back_again_changes_nothing(channel: Channel) -> None:
    conversation_id = await begun(channel)
    commands: list[Command] = ["enable_human_takeover", "disable_human_takeover"]
    for command in commands:
        await order(channel, conversation_id, command)
        await order(channel, conversation_id, command)
    for command in commands:  # before anybody looks
        for _ in range(2):
            await place(channel.pool, channel.clock, WORKSPACE, conversation_id, Order(command))
    await channel.quiet()
    journal = await channel.journal(conversation_id)
    assert [event.active for event in journal if isinstance(event, HumanTakeover)] == [True, False] * 2


async def test_what_the_human_wrote_goes_out_as_they_typed_it(channel: Channel) -> None:
    conversation_id = await begun(channel)
    await order(channel, conversation_id, "enable_human_takeover")
    text = "# 17 is yours\n---\n**in** | *stock*"
    await order(channel, conversation_id, "send_human_message", text)
    assert (await channel.told(2))[-1] == text


async def test_the_agent_knows_what_the_human_said(channel: Channel) -> None:
    conversation_id = await begun(channel)
    await order(channel, conversation_id, "enable_human_takeover")
    await order(channel, conversation_id, "send_human_message", "Your order is 42.")
    await order(channel, conversation_id, "disable_human_takeover")
    await channel.hear("What was my order?")
    await channel.told(3)
    assert [m.text for m in channel.model.requests[-1].messages[-2:]] == ["Your order is 42.", "What was my order?"]


async def test_a_takeover_stops_an_answer_that_is_being_thought(channel: Channel) -> None:
    conversation_id = await begun(channel)
    channel.model.hold = asyncio.Event()
    await channel.hear("A hard question")

    async def thinking() -> bool:
        return len(channel.model.requests) == 2

    await until(thinking)
    await place(channel.pool, channel.clock, WORKSPACE, conversation_id, Order("enable_human_takeover"))

    async def cut() -> bool:
        return channel.model.cancelled == 1

    await until(cut)
    await channel.quiet()
    assert channel.meta.texts() == ["Hello!"]


async def test_a_conversation_in_human_hands_does_not_run_out(channel: Channel, clock: ManualClock) -> None:
    conversation_id = await begun(channel)
    await order(channel, conversation_id, "enable_human_takeover")
    clock.advance(timedelta(hours=23))
    await channel.hear("Still there?")
    await channel.quiet()
    [conversation] = await channel.conversations()
    assert conversation["status"] == "in-progress"
    assert channel.meta.texts() == ["Hello!"]
    clock.advance(timedelta(hours=24, seconds=1))
    await channel.quiet()
    [conversation] = await channel.conversations()
    assert conversation["ended_at"] is not None


async def test_an_operator_can_end_a_conversation(channel: Channel) -> None:
    conversation_id = await begun(channel)
    await order(channel, conversation_id, "end_call")
    assert Ended(reason="Ended by an operator") in await channel.journal(conversation_id)
    with pytest.raises(ConversationOver):
        await order(channel, conversation_id, "enable_human_takeover")
    with pytest.raises(ConversationNotFound):
        await order(channel, "conv_unknown", "end_call")
