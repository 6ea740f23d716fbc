"""After the end: title, summary, status."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from greenline.clock import ManualClock
from greenline.conversations.events import Summarised
from greenline.llm.errors import AllModelsFailed
from greenline.llm.models import ModelRequest
from greenline.settings import Settings
from greenline.store.pool import Pool
from support.channel import Channel, running_channel


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
