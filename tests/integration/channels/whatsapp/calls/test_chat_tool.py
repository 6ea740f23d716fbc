"""What an agent writes in the chat during a call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from greenline.channels.whatsapp.calls.chat_tool import NAME, SendChatMessage
from greenline.clock import ManualClock
from greenline.conversations.events import Ended, ToolCalled, ToolReturned
from greenline.conversations.service import load_journal
from greenline.conversations.transcript import Surroundings, transcript
from greenline.conversations.transcript_models import AgentMetadata
from greenline.settings import Settings
from greenline.store.pool import Pool
from greenline.tools.models import Tool, ToolContext
from support.calling import CallChannel, calling_channel
from support.journal import projection, started, write
from support.rows import NUMBER, WORKSPACE
from support.rtc_peer import RtcPeer
from support.wait import until


@pytest.fixture
async def channel(pool: Pool, dsn: str, clock: ManualClock, settings: Settings) -> AsyncIterator[CallChannel]:
    async with calling_channel(pool, dsn, clock, settings.model_copy(update={"call_drain_seconds": 0.0})) as one:
        yield one


async def tool(channel: CallChannel) -> Tool:
    """The tool in a call of Ann's, which opens the window for free messages."""
    peer = RtcPeer()
    await channel.ring(await peer.offer())
    await channel.meta.action("pre_accept")
    await channel.tell_call("terminate", status="COMPLETED")
    row = await channel.ended()
    await peer.close()
    return SendChatMessage(channel.pool, channel.clock, WORKSPACE, NUMBER, row["chat_id"], "conv_1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": "Rose Street 5"}, {"type": "text", "text": {"body": "Rose Street 5"}}),
        ({"text": "**Rose Street 5**"}, {"type": "text", "text": {"body": "*Rose Street 5*"}}),
        (
            {"text": "Your bill", "document_url": "https://shop.example/bill.pdf", "document_name": "bill.pdf"},
            {
                "type": "document",
                "document": {
                    "link": "https://shop.example/bill.pdf",
                    "caption": "Your bill",
                    "filename": "bill.pdf",
                },
            },
        ),
    ],
)
async def test_a_message_goes_out_once(
    channel: CallChannel, arguments: dict[str, Any], message: dict[str, Any]
) -> None:
    send, context = await tool(channel), ToolContext("conv_1", "msg_1:call_1")
    results = [await send.run(arguments, context) for _ in range(2)]  # a resumed turn calls it again
    assert results[0] == results[1]
    assert not results[0].is_error

    async def come() -> list[dict[str, Any]]:
        return channel.meta.sent

    (sent,) = await until(come)
    assert {key: sent[key] for key in message} == message
    assert sent["to"] == "+15551230000"
    await channel.quiet()
    assert len(channel.meta.sent) == 1
    assert results[0].outbox_ids == tuple(row["id"] for row in await channel.outbox())


async def test_what_was_written_during_a_call_is_part_of_the_thread(channel: CallChannel) -> None:
    """It has its delivery in the transcript; who answers to it in the chat is understood, and it is remembered."""
    send, called = await tool(channel), ToolCalled(message_id="msg_1", request_id="call_1", name=NAME)
    result = await send.run(
        {"text": "Your bill", "document_url": "https://shop.example/bill.pdf", "document_name": "bill.pdf"},
        ToolContext("conv_1", "msg_1:call_1"),
    )
    row, now = await channel.row(), channel.clock.now()
    returned = ToolReturned(
        message_id="msg_1", request_id="call_1", name=NAME, said=result.said, outbox_ids=result.outbox_ids
    )
    conversation = projection("conv_1", chat_id=row["chat_id"], started_at=now, accepted_at=now, text_only=False)
    over = Ended(reason="Bye")
    await write(channel.pool, conversation, [(0, event) for event in (started(conversation), called, returned, over)])
    await until(lambda: sent(channel))
    await channel.quiet()
    [message] = channel.meta.sent
    await channel.status(message, "read", wamid="wamid.OUT1")
    await channel.quiet()
    journal = await load_journal(channel.pool, WORKSPACE, "conv_1")
    turn = transcript(journal, Surroundings(now, AgentMetadata(agent_id="a")))[-1]
    assert turn.message == "Your bill\n[Document: bill.pdf]"
    assert turn.delivery is not None
    assert turn.delivery.state == "read"
    await channel.hear("What is this?", context={"id": "wamid.OUT1", "from": "15550001111"})
    await until(lambda: asked(channel))
    system, *_, heard = channel.model.requests[-1].messages
    assert heard.text == "[In reply to: “Your bill\n[Document: bill.pdf]”]\nWhat is this?"
    assert "You: Your bill\n[Document: bill.pdf]" in system.text


async def sent(channel: CallChannel) -> bool:
    return bool(channel.meta.sent)


async def asked(channel: CallChannel) -> bool:
    return bool(channel.model.requests)


async def test_a_text_that_is_too_long_for_a_caption_goes_before_its_document(channel: CallChannel) -> None:
    text = "All that we have agreed on. " * 60
    arguments = {"text": text, "document_url": "https://shop.example/bill.pdf"}
    assert not (await (await tool(channel)).run(arguments, ToolContext("conv_1", "msg_1:call_1"))).is_error

    async def come() -> bool:
        return len(channel.meta.sent) == 2

    await until(come)
    written, document = channel.meta.sent
    assert written["text"] == {"body": text.strip()}
    assert document["document"] == {"link": "https://shop.example/bill.pdf"}


@pytest.mark.parametrize(
    "arguments", [{}, {"text": ""}, {"text": "x" * 4097}, {"text": "x", "document_url": "file:///etc/passwd"}]
)
async def test_what_can_not_be_sent_is_told_to_the_model(channel: CallChannel, arguments: dict[str, Any]) -> None:
    result = await (await tool(channel)).run(arguments, ToolContext("conv_1", "key"))
    assert result.is_error
    assert result.text.startswith("Not sent. ")
    assert await channel.outbox() == []
