"""After the end: title, summary, status."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from greenline.clock import ManualClock
from greenline.conversations.events import AgentInterrupted, AgentMessage, Event, Summarised, ToolReturned, dump_event
from greenline.llm.errors import AllModelsFailed
from greenline.llm.models import ModelRequest
from greenline.settings import Settings
from greenline.store.pool import Pool
from support.channel import Channel, running_channel
from support.rows import WORKSPACE


@pytest.fixture
async def channel(pool: Pool, dsn: str, clock: ManualClock, settings: Settings) -> AsyncIterator[Channel]:
    async with running_channel(pool, dsn, clock, settings) as running:
        yield running


async def ended(channel: Channel) -> dict[str, object]:
    """The only conversation, after its end and its analysis."""
    await channel.hear("I would like oolong")
    await channel.told(1)
    await channel.quiet()
    channel.clock.advance(timedelta(minutes=11))
    await channel.quiet()
    [conversation] = await channel.conversations()
    return conversation


def is_analysis(request: ModelRequest) -> bool:
    return "Title:" in request.messages[0].text


async def test_the_summary_is_the_models(channel: Channel) -> None:
    words = "Title: Oolong wanted\nSummary: The person wants oolong.\nNothing is open."
    channel.model.say = lambda request: words if is_analysis(request) else "Sure!"
    conversation = await ended(channel)
    assert (conversation["status"], conversation["title"]) == ("done", "Oolong wanted")
    assert conversation["summary"] == "The person wants oolong. Nothing is open."
    assert "Person: I would like oolong\nAgent: Sure!" in channel.model.requests[-1].messages[1].text
    assert isinstance((await channel.journal(str(conversation["id"])))[-1], Summarised)


async def test_without_a_model_the_words_themselves_are_told(channel: Channel) -> None:
    def only_talk(request: ModelRequest) -> str:
        if is_analysis(request):
            raise AllModelsFailed(())
        return "Sure!"

    channel.model.say = only_talk
    conversation = await ended(channel)
    assert (conversation["status"], conversation["title"]) == ("done", "I would like oolong")
    assert conversation["summary"] == "The person wrote: I would like oolong. Last said: Sure!"


async def test_the_thread_carries_the_summary_on(channel: Channel) -> None:
    channel.model.say = lambda request: "Title: T\nSummary: Likes oolong." if is_analysis(request) else "Sure!"
    await ended(channel)
    await channel.hear("Me again")
    await channel.told(2)
    assert "In short: Likes oolong." in channel.model.requests[-1].messages[0].text


async def test_nothing_is_left_behind(channel: Channel, pool: Pool) -> None:
    await ended(channel)
    assert await pool.fetchval("select count(*) from mailbox where kind = 'analysis'") == 0


async def test_the_summary_is_of_what_came_across(channel: Channel) -> None:
    """What a tool has told the person belongs to it, and of an answer that was cut short what was heard."""
    channel.model.say = lambda request: "Title: T\nSummary: S" if is_analysis(request) else "Sure!"
    await channel.hear("I would like oolong")
    await channel.told(1)
    await channel.quiet()
    [conversation] = await channel.conversations()
    more: tuple[Event, ...] = (
        AgentMessage(id="a1", text="We have green tea, black tea and oolong."),
        AgentInterrupted(message_id="a1", heard="We have green"),
        ToolReturned(message_id="a2", request_id="r1", name="send_chat_message", said="Rose Street 5"),
        ToolReturned(message_id="a2", request_id="r2", name="look_up", result="a secret of the house"),
    )
    await channel.pool.executemany(
        """insert into conversation_event(conversation_id, seq, workspace_id, at, kind, data)
           values ($1, $2, $3, $4, $5, $6)""",
        [
            (conversation["id"], place, WORKSPACE, channel.clock.now(), event.kind, dump_event(event))
            for place, event in enumerate(more, start=50)
        ],
    )
    await channel.pool.execute("update conversation set last_seq = 60")
    channel.clock.advance(timedelta(minutes=11))
    await channel.quiet()
    transcript = channel.model.requests[-1].messages[1].text
    assert transcript == "Person: I would like oolong\nAgent: Sure!\nAgent: We have green\nAgent: Rose Street 5"
