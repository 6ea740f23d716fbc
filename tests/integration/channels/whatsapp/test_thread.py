"""What a conversation of a person remembers of the others: what came across, by voice and by text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from greenline.clock import ManualClock
from greenline.conversations import service
from greenline.conversations.events import (
    AgentInterrupted,
    AgentMessage,
    Ended,
    Event,
    Started,
    ToolCalled,
    ToolReturned,
    UserMessage,
)
from greenline.settings import Settings
from greenline.store.objects import FolderObjects
from greenline.store.pool import Pool
from support.channel import Channel, running_channel
from support.journal import projection, started, write
from support.rows import WORKSPACE

WHOLE = "We have green tea, black tea and oolong, which is my favourite."
HEARD = "We have green tea"
WRITTEN = "Rose Street 5"


@pytest.fixture
async def channel(pool: Pool, dsn: str, clock: ManualClock, settings: Settings) -> AsyncIterator[Channel]:
    async with running_channel(pool, dsn, clock, settings) as running:
        yield running


async def call(channel: Channel, *events: Event) -> None:
    """Ann wrote once, and then there was a call with her, which is over."""
    await channel.hear("Hello")
    await channel.told(1)
    await channel.quiet()
    await channel.pool.execute("update conversation set status = 'done'")
    [chat_id] = [row["chat_id"] for row in await channel.conversations()]
    channel.clock.advance(timedelta(seconds=1))
    now = channel.clock.now()
    row = projection("conv_call", chat_id=chat_id, started_at=now, accepted_at=now, text_only=False)
    first: Event = started(row)
    await write(channel.pool, row, [(0, event) for event in (first, *events, Ended(reason="Bye"))])


async def remembered(channel: Channel) -> list[str]:
    """What the model is told of earlier conversations when Ann writes again."""
    channel.clock.advance(timedelta(seconds=1))
    await channel.hear("Me again")
    await channel.told(2)
    await channel.quiet()
    journal = await channel.journal((await channel.conversations())[-1]["id"])
    [began] = [event for event in journal if isinstance(event, Started)]
    texts = [message.text for message in began.remembered]
    assert all(text in channel.model.requests[-1].messages[0].text for text in texts)
    return texts


async def test_an_answer_that_was_cut_short_is_remembered_as_it_was_heard(channel: Channel) -> None:
    await call(
        channel,
        AgentMessage(id="a1", text=WHOLE, medium="audio"),
        AgentInterrupted(message_id="a1", heard=HEARD),
        UserMessage(id="u1", text="Stop", medium="audio"),
        AgentMessage(id="a2", text="Never heard", medium="audio"),
        AgentInterrupted(message_id="a2", heard=""),
    )
    assert await remembered(channel) == ["Hello", "Hello!", HEARD, "Stop"]


async def test_what_the_agent_wrote_during_a_call_is_remembered_and_erased_with_it(
    channel: Channel, tmp_path: Path
) -> None:
    wrote = ToolReturned(message_id="a1", request_id="r1", name="send_chat_message", result="Sent.", said=WRITTEN)
    await call(
        channel,
        UserMessage(id="u1", text="Where are you?", medium="audio"),
        AgentMessage(id="a1", text="", medium="audio"),
        ToolCalled(message_id="a1", request_id="r1", name="send_chat_message"),
        wrote,
        AgentMessage(id="a2", text=WHOLE, medium="audio"),
        AgentInterrupted(message_id="a2", heard=HEARD),
    )
    assert await remembered(channel) == ["Hello", "Hello!", "Where are you?", WRITTEN, HEARD]
    await service.delete(channel.pool, channel.clock, FolderObjects(tmp_path), WORKSPACE, "conv_call")
    journal = await channel.journal((await channel.conversations())[-1]["id"])
    [began] = [event for event in journal if isinstance(event, Started)]
    assert [message.text for message in began.remembered] == ["Hello", "Hello!"]
