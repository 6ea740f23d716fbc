"""What a conversation of a person remembers of the others: what came across, by voice and by text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from greenline.agents.initiation import InitiationData
from greenline.channels.whatsapp.graph import GraphClient
from greenline.channels.whatsapp.outbound import OutboundMessage, start_outbound
from greenline.channels.whatsapp.templates import Templates
from greenline.clock import ManualClock
from greenline.conversations import service
from greenline.conversations.events import (
    AgentInterrupted,
    AgentMessage,
    Ended,
    Event,
    Resumed,
    Started,
    ToolCalled,
    ToolReturned,
    UserMessage,
)
from greenline.settings import Settings
from greenline.store.objects import FolderObjects
from greenline.store.pool import Pool
from greenline.store.vault import open_vault
from support.calling import calling_channel
from support.channel import ANN, Channel, running_channel
from support.journal import projection, started, write
from support.rows import NUMBER, WORKSPACE
from support.wait import until

WELCOME = {
    "id": "1",
    "name": "welcome",
    "language": "en",
    "status": "APPROVED",
    "category": "UTILITY",
    "components": [{"type": "BODY", "text": "Welcome!"}],
}
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


async def test_a_tools_words_that_were_cut_short_are_remembered_as_they_were_heard(channel: Channel) -> None:
    """Of two conversations whose model gives its calls the same ids, each has its own."""

    def said(text: str) -> tuple[Event, ...]:
        called = ToolCalled(message_id="a1", request_id="call_0", name="look_up")
        returned = ToolReturned(message_id="a1", request_id="call_0", name="look_up", result="Said.", said=text)
        return AgentMessage(id="a1", text="", medium="audio"), called, returned

    await call(channel, *said(WHOLE), AgentInterrupted(message_id="call_0", heard=HEARD))
    channel.clock.advance(timedelta(seconds=1))
    now = channel.clock.now()
    chat_id = str((await channel.conversations())[0]["chat_id"])
    row = projection("conv_other", chat_id=chat_id, started_at=now, accepted_at=now, text_only=False)
    await write(channel.pool, row, [(0, event) for event in (started(row), *said(WRITTEN), Ended(reason="Bye"))])
    assert await remembered(channel) == ["Hello", "Hello!", HEARD, WRITTEN]


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


async def test_who_answers_a_template_days_later_is_remembered_up_to_then(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings
) -> None:
    async with calling_channel(pool, dsn, clock, settings) as channel:
        channel.meta.templates = [WELCOME]
        await channel.configure({"agent": {"prompt": {"prompt": "It is {{system__time_utc}}."}}})
        graph, vault = GraphClient(channel.settings), open_vault(channel.settings)
        templates = Templates(pool, graph, vault, clock, channel.settings)
        message = OutboundMessage(NUMBER, ANN, "welcome", "en", (), channel.agent_id, InitiationData())
        conversation_id = await start_outbound(pool, vault, templates, clock, WORKSPACE, message)
        await until(lambda: sent(channel, 1))
        await write_call(channel, clock.now() + timedelta(hours=1))
        clock.advance(timedelta(days=2))
        await channel.hear("Yes please")
        await until(lambda: sent(channel, 2))
        await channel.quiet()
        system = channel.model.requests[-1].messages[0].text
        assert system.startswith(f"It is {clock.now().isoformat()}.")
        assert "Person: I drink oolong" in system
        assert "You: Welcome!" not in system, "that is in the conversation itself"
        [answered] = [event for event in await channel.journal(conversation_id) if isinstance(event, Resumed)]
        assert [message.text for message in answered.remembered] == ["I drink oolong"]
        assert answered.variables["system__call_duration_secs"] == 0
        view = await service.get(pool, WORKSPACE, conversation_id, link=lambda file: "")
        variables = view.conversation_initiation_client_data.dynamic_variables
        assert variables["system__time_utc"] == clock.now().isoformat()
        await graph.aclose()


async def write_call(channel: Channel, at: datetime) -> None:
    """A call of Ann's after the template, which did not answer it."""
    [chat_id] = [row["chat_id"] for row in await channel.conversations()]
    row = projection("conv_call", chat_id=chat_id, started_at=at, accepted_at=at, text_only=False)
    events: list[Event] = [started(row), UserMessage(id="u1", text="I drink oolong"), Ended(reason="Bye")]
    await write(channel.pool, row, [(0, event) for event in events])


async def sent(channel: Channel, count: int) -> bool:
    return len(channel.meta.sent) >= count
