"""Tools of real MCP servers in turns of WhatsApp chats."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from greenline.agents import service as agents
from greenline.agents.models import AgentChanges
from greenline.channels.orders import Command, Order, place
from greenline.conversations.events import Noted, ToolCalled, ToolReturned
from greenline.llm.models import ModelReply, ModelRequest, ToolCall
from greenline.tools.mcp.tool import NOT_HERE
from support.channel import Channel
from support.mcp_server import TRANSPORTS, Shop, equip, mcp_server, naming_the_offer
from support.rows import WORKSPACE
from support.wait import eventually


def asks_for_the_price(request: ModelRequest) -> ModelReply | str:
    if request.messages[-1].role == "tool":
        return f"It says: {request.messages[-1].text}"
    return ModelReply("m", "", (ToolCall("call_1", "price", {"what": "tea"}),))


@pytest.fixture(params=TRANSPORTS)
async def shop(request: pytest.FixtureRequest) -> AsyncIterator[Shop]:
    async with mcp_server(request.param) as running:
        yield running


async def tool_events(channel: Channel) -> tuple[ToolCalled, ToolReturned]:
    (conversation,) = await channel.conversations()
    journal = await channel.journal(conversation["id"])
    called, returned = [event for event in journal if isinstance(event, ToolCalled | ToolReturned)]
    assert isinstance(called, ToolCalled)
    assert isinstance(returned, ToolReturned)
    return called, returned


async def test_an_auto_approved_tool_runs(channel: Channel, shop: Shop) -> None:
    channel.model.say = asks_for_the_price
    server = await equip(channel.pool, channel.clock, channel.agent_id, shop, approval_policy="auto_approve_all")
    await channel.hear("How much is tea?")
    assert await channel.told(1) == ["It says: price of tea: 7 euros"]

    assert shop.ran == [("price", {"what": "tea"})]
    called, returned = await tool_events(channel)
    assert (called.type, called.tool_id) == ("mcp", f"mcp:{server.id}:price")
    assert called.details["approval_policy"] == "auto_approve_all"
    assert (returned.result, returned.is_error) == ("price of tea: 7 euros", False)
    assert shop.metas[0]["greenline/idempotency-key"].endswith(":call_1")


async def test_a_tool_whose_name_no_journal_holds_is_not_offered(channel: Channel, shop: Shop) -> None:
    """The call of such a tool could not be kept, and its turn not be ended."""
    channel.model.say = lambda request: ", ".join(tool.name for tool in request.tools if tool.name != "end_call")
    shop.tools = [shop.tools[0].model_copy(update={"name": "pri\0ce"}), shop.tools[1]]
    await equip(channel.pool, channel.clock, channel.agent_id, shop, approval_policy="auto_approve_all")
    await channel.hear("What can you do?")
    assert await channel.told(1) == ["order"]


async def test_a_tool_that_nobody_can_approve_is_blocked(channel: Channel, shop: Shop) -> None:
    channel.model.say = asks_for_the_price
    await equip(channel.pool, channel.clock, channel.agent_id, shop)
    await channel.hear("How much is tea?")
    assert await channel.told(1) == [f"It says: {NOT_HERE}"]

    assert shop.ran == []
    called, returned = await tool_events(channel)
    assert called.details["requires_approval"] is True
    assert (returned.is_blocked, returned.error_type) == (True, "approval_unavailable")


async def test_a_server_that_is_away_hinders_nobody(channel: Channel) -> None:
    async with mcp_server() as shop:
        await equip(channel.pool, channel.clock, channel.agent_id, shop, approval_policy="auto_approve_all")
    for count in (1, 2):
        await channel.hear("Hi")
        assert await channel.told(count) == ["Hello!"] * count
    assert channel.model.requests[0].tools == ()
    (conversation,) = await channel.conversations()
    notes = [event for event in await channel.journal(conversation["id"]) if isinstance(event, Noted)]
    assert [(note.what, note.detail) for note in notes] == [
        ("mcp_server_away", {"server": "Shop", "reason": "It can't be reached."})
    ]


async def test_what_the_business_gives_is_not_asked_of_the_model(channel: Channel, shop: Shop) -> None:
    def orders(request: ModelRequest) -> ModelReply | str:
        if request.messages[-1].role == "tool":
            return "Done."
        return ModelReply("m", "", (ToolCall("call_1", "order", {}),))

    channel.model.say = orders
    own: dict[str, Any] = {
        "tool_name": "order",
        "input_overrides": {"what": {"source": "dynamic_variable", "dynamic_variable": "system__caller_id"}},
    }
    policy = {"approval_policy": "auto_approve_all", "tool_config_overrides": [own]}
    await equip(channel.pool, channel.clock, channel.agent_id, shop, **policy)
    await channel.hear("Tea, please.")
    await channel.told(1)
    (order,) = [tool for tool in channel.model.requests[0].tools if tool.name == "order"]
    assert order.parameters["properties"] == {}
    assert shop.ran == [("order", {"what": "15551230000"})]


async def test_what_an_answer_has_set_reaches_headers_and_meta(channel: Channel, shop: Shop) -> None:
    def say(request: ModelRequest) -> ModelReply | str:
        if request.messages[-1].role == "tool":
            return "Done."
        name = request.messages[-1].text
        return ModelReply("m", "", (ToolCall("call_1", name, {"what": "tea"}),))

    channel.model.say = say
    shop.structured = {"offer": {"id": "o-1"}}
    named = naming_the_offer()
    policy = {name: named[name] for name in ("approval_policy", "tool_config_overrides")}
    first = await equip(channel.pool, channel.clock, channel.agent_id, shop, **policy)
    later = await equip(channel.pool, channel.clock, channel.agent_id, shop, **{**named, "name": "Later"})
    changes = AgentChanges(conversation_config={"agent": {"prompt": {"mcp_server_ids": [first.id, later.id]}}})
    await agents.update(channel.pool, channel.clock, WORKSPACE, channel.agent_id, changes)
    for count, tool in enumerate(("price", "Later_order"), 1):
        await channel.hear(tool)
        await channel.told(count)
    assert [name for name, _ in shop.ran] == ["price", "order"]
    assert [meta.get("offer") for meta in shop.metas] == [None, "o-1"]
    assert [tool.name for tool in channel.model.requests[0].tools] == ["price", "order"], "there is no offer yet"
    assert {headers.get("x-offer") for headers in shop.headers} == {None, "o-1"}


async def test_a_tool_runs_once_also_in_a_turn_that_died_over_what_a_human_left_open(channel: Channel) -> None:
    """The turn answers no message of its own: it is known by the order that handed the chat back."""

    async def order(command: Command) -> None:
        (conversation,) = await channel.conversations()
        await place(channel.pool, channel.clock, WORKSPACE, conversation["id"], Order(command))

    await channel.hear("Hi")
    await channel.told(1)
    await channel.quiet()
    async with mcp_server() as shop:
        await equip(channel.pool, channel.clock, channel.agent_id, shop, approval_policy="auto_approve_all")
        await channel.pool.execute("update conversation set version_id = (select tip_version_id from agent_branch)")
        await order("enable_human_takeover")
        await channel.hear("How much is tea?")
        await channel.quiet()
        thinking = asyncio.Event()

        def asks(request: ModelRequest) -> ModelReply | str:
            if request.messages[-1].role == "tool":
                return f"It says: {request.messages[-1].text}"
            channel.model.hold = thinking
            return ModelReply("m", "", (ToolCall("call_1", "price", {"what": "tea"}),))

        channel.model.say = asks
        before = len(channel.model.requests)
        await order("disable_human_takeover")
        await eventually(lambda: len(channel.model.requests) == before + 2)
        await channel.pool.execute("update mailbox set owner = null, lease_until = null, epoch = epoch + 1")
        await eventually(lambda: len(channel.model.requests) == before + 3)
        thinking.set()
        assert await channel.told(2) == ["Hello!", "It says: price of tea: 7 euros"]
    assert shop.ran == [("price", {"what": "tea"})]
