"""What an agent writes in the chat during a call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from greenline.channels.whatsapp.calls.chat_tool import SendChatMessage
from greenline.clock import ManualClock
from greenline.settings import Settings
from greenline.store.pool import Pool
from greenline.tools.models import Tool, ToolContext
from support.calling import CallChannel, calling_channel
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
    for _ in range(2):  # a resumed turn calls it again
        assert not (await send.run(arguments, context)).is_error

    async def come() -> list[dict[str, Any]]:
        return channel.meta.sent

    (sent,) = await until(come)
    assert {key: sent[key] for key in message} == message
    assert sent["to"] == "+15551230000"
    await channel.quiet()
    assert len(channel.meta.sent) == 1


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
