"""Tools of real MCP servers in live conversations: offered, approved, run, told of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from mcp import types

from greenline.channels.live.models import Interruption, LiveEvent, ResponseComplete, ToolRequest, ToolResponse
from greenline.channels.live.session import LiveSession
from greenline.clock import ManualClock
from greenline.conversations.events import AgentMessage, ToolCalled, ToolReturned
from greenline.llm.models import ModelReply, ModelRequest, ToolCall
from greenline.tools.manners import Manners
from greenline.tools.mcp import client, toolbox
from greenline.tools.mcp.catalogue import RETRY
from greenline.tools.mcp.desk import APPROVAL_SECONDS, Integration, McpConnections, McpToolCall
from greenline.tools.mcp.service import McpServers
from greenline.tools.mcp.tool import CUT_SHORT, MAYBE_RUN, NO_ANSWER, NOT_HERE, REFUSED, McpTool
from support.live import Opens, Room, Stage, told_of
from support.mcp_server import PRICE, TRANSPORTS, Shop, equip, mcp_server, naming_the_offer
from support.rows import WORKSPACE
from support.wait import PATIENCE_SECONDS, until

EVENTS = ["agent_response", "interruption", "mcp_tool_call", "mcp_connection_status"]
CONFIG: dict[str, Any] = {
    "agent": {"first_message": "", "prompt": {"prompt": "You sell tea."}},
    "conversation": {"client_events": EVENTS},
}


def asks_for(tool: str, what: str = "tea") -> Any:
    """A model that calls a tool and says what it answered."""

    def say(request: ModelRequest) -> ModelReply | str:
        if request.messages[-1].role == "tool":
            return f"It says: {request.messages[-1].text}"
        return ModelReply("m", "", (ToolCall("call_1", tool, {"what": what}),))

    return say


def states(told: list[LiveEvent]) -> list[str]:
    return [event.state for event in told if isinstance(event, McpToolCall)]


@pytest.fixture(params=TRANSPORTS)
async def shop(request: pytest.FixtureRequest) -> AsyncIterator[Shop]:
    async with mcp_server(request.param) as running:
        yield running


@pytest.fixture
async def live(opens: Opens) -> AsyncIterator[Stage]:
    async with opens(CONFIG) as running:
        running.model.say = asks_for("price")
        yield running


async def answered(told: list[LiveEvent]) -> None:
    await told_of(told, ResponseComplete)


async def returned(live: Stage, session: LiveSession) -> ToolReturned:
    (event,) = [event for event in await live.journal(session) if isinstance(event, ToolReturned)]
    return event


async def test_a_tool_runs_and_is_told_of(live: Stage, shop: Shop) -> None:
    server = await equip(live.pool, live.clock, live.agent_id, shop, approval_policy="auto_approve_all")
    session, told = await live.begin()
    (status,) = await told_of(told, McpConnections)
    assert status.integrations == (Integration(server.id, is_connected=True, tools=2),)

    session.user_message("How much is tea?")
    await answered(told)

    offered = {tool.name: tool for tool in live.model.requests[0].tools}
    assert offered.keys() == {"price", "order"}
    assert offered["price"].description == "What something costs."
    assert shop.ran == [("price", {"what": "tea"})]
    assert states(told) == ["loading", "success"]
    call = next(event for event in told if isinstance(event, McpToolCall) and event.state == "success")
    assert (call.server_id, call.tool_call_id, call.tool_name) == (server.id, "call_1", "price")
    assert call.result == ({"type": "text", "text": "price of tea: 7 euros"},)
    (request,) = [event for event in told if isinstance(event, ToolRequest)]
    (response,) = [event for event in told if isinstance(event, ToolResponse)]
    assert (request.tool_type, response.is_error, response.is_blocked) == ("mcp", False, False)

    (called,) = [event for event in await live.journal(session) if isinstance(event, ToolCalled)]
    assert (called.type, called.tool_id) == ("mcp", f"mcp:{server.id}:price")
    assert called.details["mcp_server_name"] == "Shop"
    assert called.details["parameters"] == {"what": "tea"}
    assert (await returned(live, session)).result == "price of tea: 7 euros"
    said = [event.text for event in await live.journal(session) if isinstance(event, AgentMessage) and event.text]
    assert said == ["It says: price of tea: 7 euros"]


async def test_a_person_approves_a_call_once(live: Stage, shop: Shop) -> None:
    await equip(live.pool, live.clock, live.agent_id, shop)
    session, told = await live.begin()
    session.user_message("How much is tea?")
    (call,) = await told_of(told, McpToolCall)
    assert (call.state, call.approval_seconds) == ("awaiting_approval", 300)
    assert call.parameters == {"what": "tea"}
    assert session.answering
    assert shop.ran == []

    session.mcp_approval("another", is_approved=True)
    session.mcp_approval("call_1", is_approved=True)
    session.mcp_approval("call_1", is_approved=False)
    await answered(told)
    assert states(told) == ["awaiting_approval", "loading", "success"]
    assert len(shop.ran) == 1
    session.mcp_approval("call_1", is_approved=False)
    assert not session.answering


async def test_a_person_refuses_a_call(live: Stage, shop: Shop) -> None:
    await equip(live.pool, live.clock, live.agent_id, shop)
    session, told = await live.begin()
    session.user_message("How much is tea?")
    await told_of(told, McpToolCall)
    session.mcp_approval("call_1", is_approved=False)
    await answered(told)

    assert states(told) == ["awaiting_approval", "failure"]
    assert shop.ran == []
    event = await returned(live, session)
    assert (event.result, event.is_error, event.is_blocked) == (REFUSED, True, True)
    (response,) = [event for event in told if isinstance(event, ToolResponse)]
    assert response.is_blocked


async def test_an_approval_runs_out(live: Stage, shop: Shop) -> None:
    await equip(live.pool, live.clock, live.agent_id, shop)
    session, told = await live.begin()
    session.user_message("How much is tea?")
    await told_of(told, McpToolCall)
    live.clock.advance(timedelta(seconds=APPROVAL_SECONDS))
    await answered(told)

    assert states(told) == ["awaiting_approval", "failure"]
    event = await returned(live, session)
    assert (event.result, event.error_type, event.is_blocked) == (NO_ANSWER, "approval_timeout", True)
    session.mcp_approval("call_1", is_approved=True)
    assert shop.ran == []


async def test_who_interrupts_takes_the_question_back(live: Stage, shop: Shop) -> None:
    await equip(live.pool, live.clock, live.agent_id, shop)
    session, told = await live.begin()
    session.user_message("How much is tea?")
    await told_of(told, McpToolCall)
    live.model.say = lambda request: "Never mind."
    session.user_message("Forget it.")
    await told_of(told, Interruption)
    await answered(told)

    assert states(told) == ["awaiting_approval", "failure"]
    assert [event.error for event in told if isinstance(event, McpToolCall)][1] == CUT_SHORT
    (response,) = [event for event in told if isinstance(event, ToolResponse)]
    assert (response.is_error, response.is_called) == (True, False)
    assert (await returned(live, session)).error_type == "never_began"
    assert not session.answering
    assert shop.ran == []


async def test_the_end_of_a_conversation_ends_the_question(live: Stage, shop: Shop) -> None:
    await equip(live.pool, live.clock, live.agent_id, shop)
    session, told = await live.begin()
    session.user_message("How much is tea?")
    await told_of(told, McpToolCall)
    session.end("Client disconnected")
    await live.tasks[0]
    assert states(told) == ["awaiting_approval", "failure"]
    assert not session.answering


@pytest.mark.parametrize("shop", ["STREAMABLE_HTTP"], indirect=True)
async def test_where_no_client_can_be_asked_a_call_is_blocked(live: Stage, shop: Shop) -> None:
    await equip(live.pool, live.clock, live.agent_id, shop)
    beginning = await live.beginning()
    session, told = await live.begin_with(replace(beginning, has_client=False))
    session.user_message("How much is tea?")
    await answered(told)
    event = await returned(live, session)
    assert (event.result, event.error_type, event.is_blocked) == (NOT_HERE, "approval_unavailable", True)
    assert shop.ran == []


@pytest.mark.parametrize("shop", ["STREAMABLE_HTTP"], indirect=True)
async def test_tools_are_approved_one_by_one(live: Stage, shop: Shop) -> None:
    server = await equip(live.pool, live.clock, live.agent_id, shop, approval_policy="require_approval_per_tool")
    await McpServers(live.pool, live.clock, WORKSPACE).approve(
        server.id, "price", "What something costs.", PRICE.input_schema, "auto_approved"
    )
    session, told = await live.begin()
    session.user_message("How much is tea?")
    await answered(told)
    assert states(told) == ["loading", "success"]

    live.model.say = asks_for("order")
    session.user_message("One, please.")
    await told_of(told, McpToolCall, 3)
    assert states(told)[2:] == ["awaiting_approval"]


@pytest.mark.parametrize("shop", ["STREAMABLE_HTTP"], indirect=True)
async def test_a_tool_that_changed_is_asked_for_again(live: Stage, shop: Shop) -> None:
    server = await equip(live.pool, live.clock, live.agent_id, shop, approval_policy="require_approval_per_tool")
    await McpServers(live.pool, live.clock, WORKSPACE).approve(
        server.id, "price", "Another description.", PRICE.input_schema, "auto_approved"
    )
    session, told = await live.begin()
    session.user_message("How much is tea?")
    (call,) = await told_of(told, McpToolCall)
    assert call.state == "awaiting_approval"


async def test_a_server_that_is_away_hinders_nobody(live: Stage, clock: ManualClock) -> None:
    live.model.say = lambda request: "Hello!"
    async with mcp_server() as shop:
        port = int(shop.url.split(":")[2].split("/")[0])
        server = await equip(live.pool, live.clock, live.agent_id, shop, approval_policy="auto_approve_all")
    session, told = await live.begin()
    (status,) = await told_of(told, McpConnections)
    assert status.integrations == (Integration(server.id, is_connected=False),)
    session.user_message("Hi")
    await answered(told)
    assert live.model.requests[0].tools == ()

    async with mcp_server(port=port):
        clock.advance(RETRY)

        async def back() -> bool:
            session.user_message("Are you there?")
            await told_of(told, ResponseComplete, len([1 for e in told if isinstance(e, ResponseComplete)]) + 1)
            return bool(live.model.requests[-1].tools)

        await until(back)
        assert [event.integrations for event in told if isinstance(event, McpConnections)][1:] == [
            (Integration(server.id, is_connected=True, tools=2),)
        ]


@pytest.mark.parametrize("shop", ["STREAMABLE_HTTP"], indirect=True)
async def test_nobody_waits_long_for_a_slow_server(live: Stage, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolbox, "OFFER_SECONDS", 0.1)
    live.model.say = lambda request: "Hello!"
    shop.hold_listing = asyncio.Event()
    server = await equip(live.pool, live.clock, live.agent_id, shop, approval_policy="auto_approve_all")
    session, told = await live.begin()
    session.user_message("Hi")
    await answered(told)
    assert live.model.requests[0].tools == ()

    shop.hold_listing.set()
    shop.hold_listing = None
    await told_of(told, McpConnections)

    async def offered() -> bool:
        session.user_message("Are you there?")
        await told_of(told, ResponseComplete, len([1 for e in told if isinstance(e, ResponseComplete)]) + 1)
        return bool(live.model.requests[-1].tools)

    await until(offered)
    assert [event.integrations for event in told if isinstance(event, McpConnections)] == [
        (Integration(server.id, is_connected=False),),
        (Integration(server.id, is_connected=True, tools=2),),
    ]


@pytest.mark.parametrize("shop", ["STREAMABLE_HTTP"], indirect=True)
async def test_a_server_need_not_make_up_for_a_slow_process(
    live: Stage, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def load() -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        monkeypatch.setattr(toolbox, "OFFER_SECONDS", PATIENCE_SECONDS)

    monkeypatch.setattr(toolbox, "OFFER_SECONDS", 0.0)
    monkeypatch.setattr(client, "_load", load)
    server = await equip(live.pool, live.clock, live.agent_id, shop)
    _, told = await live.begin()
    (status,) = await told_of(told, McpConnections)
    assert status.integrations == (Integration(server.id, is_connected=True, tools=2),)


@pytest.mark.parametrize("shop", ["SSE"], indirect=True)
async def test_a_tool_that_no_provider_would_take_is_left_out(live: Stage, shop: Shop) -> None:
    bad = {"type": "object", "properties": {"what": {"type": "tea"}}}
    shop.tools.append(types.Tool(name="bad", input_schema=bad))
    shop.tools.append(types.Tool(name="shop/price", input_schema={"type": "object"}))
    live.model.say = asks_for("shop_price")
    server = await equip(live.pool, live.clock, live.agent_id, shop, approval_policy="auto_approve_all")
    session, told = await live.begin()
    session.user_message("How much is tea?")
    await answered(told)

    assert [tool.name for tool in live.model.requests[0].tools] == ["price", "order", "shop_price"]
    assert shop.ran == [("shop/price", {"what": "tea"})]
    (status,) = [event for event in told if isinstance(event, McpConnections)]
    assert status.integrations == (Integration(server.id, is_connected=True, tools=3),)


async def test_a_server_that_dies_in_a_call_is_told_of(live: Stage, shop: Shop) -> None:
    server = await equip(live.pool, live.clock, live.agent_id, shop, approval_policy="auto_approve_all")
    shop.hold = asyncio.Event()
    session, told = await live.begin()
    session.user_message("How much is tea?")
    await shop.called.wait()
    shop.die()
    await answered(told)

    event = await returned(live, session)
    assert (event.result, event.error_type) == (MAYBE_RUN, "mcp_unreachable")
    assert event.raw_error == "The connection to it broke."
    assert states(told) == ["loading", "failure"]
    last = [event for event in told if isinstance(event, McpConnections)][-1]
    assert last.integrations == (Integration(server.id, is_connected=False),)


async def test_a_voice_conversation_has_the_tools_too(opens: Opens, shop: Shop) -> None:
    async with opens(CONFIG) as live:
        live.model.say = asks_for("price")
        await equip(live.pool, live.clock, live.agent_id, shop, approval_policy="auto_approve_all")
        session, told = await live.begin(Room())
        session.user_message("How much is tea?")
        await answered(told)
        assert shop.ran == [("price", {"what": "tea"})]
        assert states(told) == ["loading", "success"]


async def test_a_mocked_tool_is_not_run(live: Stage, shop: Shop) -> None:
    await equip(live.pool, live.clock, live.agent_id, shop, approval_policy="auto_approve_all")
    session, told = await live.begin(tool_mock_config={"mocking_strategy": "all"})
    session.user_message("How much is tea?")
    await answered(told)
    assert shop.ran == []
    assert (await returned(live, session)).error_type == "no_mock_matched"
    (response,) = [event for event in told if isinstance(event, ToolResponse)]
    assert (response.is_error, response.is_blocked, response.is_called) == (True, False, False)


@pytest.mark.parametrize(
    ("what", "fallback", "answer", "ran"),
    [
        ("tea", "raise_error", '{"price": 3}', []),
        ("coffee", "raise_error", "None left.", []),
        ("milk", "raise_error", "No mock matched this call of price.", []),
        ("tea", "call_real_tool", '{"price": 3}', []),
        ("milk", "call_real_tool", "price of milk: 7 euros", [("price", {"what": "milk"})]),
    ],
)
async def test_mocks_of_a_tool_answer_in_its_place(
    live: Stage, shop: Shop, what: str, fallback: str, answer: str, ran: list[Any]
) -> None:
    def mock(result: str, *conditions: Any, is_error: bool = False) -> Any:
        return {"parameter_conditions": list(conditions), "mock_result": result, "is_error": is_error}

    mocks = [
        mock("?", {"path": "what", "eval": {"type": "llm", "description": "Anything."}}),
        mock("?", {"path": "what", "eval": {"type": "regex", "pattern": "("}}),
        mock("?", {"path": "what", "eval": {"type": "regex", "pattern": "(" * 5_000}}),
        mock('{"price": 3}', {"path": "what", "eval": {"type": "exact", "expected_value": "tea"}}),
        mock("None left.", {"path": "what", "eval": {"type": "regex", "pattern": "^cof+ee$"}}, is_error=True),
    ]
    own = {
        "tool_name": "price",
        "response_mocks": mocks,
        "assignments": [{"dynamic_variable": "price", "value_path": "price"}],
    }
    policy = {"approval_policy": "auto_approve_all", "tool_config_overrides": [own]}
    await equip(live.pool, live.clock, live.agent_id, shop, **policy)
    live.model.say = asks_for("price", what)
    session, told = await live.begin(tool_mock_config={"mocking_strategy": "all", "fallback_strategy": fallback})
    session.user_message("How much is it?")
    await answered(told)
    assert shop.ran == ran
    event = await returned(live, session)
    assert (event.result, event.is_error) == (answer, what == "coffee" or answer.startswith("No mock"))
    assert [one.value for one in event.assigned] == (["3"] if what == "tea" else [])


async def test_mocks_that_are_not_matched_in_time_are_an_error_and_the_tool_is_not_run(
    live: Stage, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That they took too long does not say that none of them holds."""
    monkeypatch.setattr(McpTool, "seconds", 0.1)
    condition = {"path": "what", "eval": {"type": "regex", "pattern": r"(\w+\s?)+$"}}
    mocks = [{"parameter_conditions": [condition], "mock_result": "?"}]
    overrides = [{"tool_name": "price", "response_mocks": mocks}]
    policy = {"approval_policy": "auto_approve_all", "tool_config_overrides": overrides}
    await equip(live.pool, live.clock, live.agent_id, shop, **policy)
    live.model.say = asks_for("price", "a" * 35 + "!")
    config = {"mocking_strategy": "all", "fallback_strategy": "call_real_tool"}
    session, told = await live.begin(tool_mock_config=config)
    session.user_message("How much is it?")
    await answered(told)
    event = await returned(live, session)
    assert (event.result, event.error_type) == ("The mocks of price were not matched in 0.1 seconds.", "mock_timeout")
    assert shop.ran == []
    (response,) = [event for event in told if isinstance(event, ToolResponse)]
    assert not response.is_called


@pytest.mark.parametrize(
    ("server", "own", "expected"),
    [
        (
            {"disable_interruptions": True, "pre_tool_speech": "force", "tool_call_sound": "typing"},
            {},
            Manners(shields="tool", words="force", sound="typing"),
        ),
        (
            {"disable_interruptions": True, "tool_call_sound": "typing"},
            {"interruption_mode": "allow", "pre_tool_speech": "off", "tool_call_sound": "off"},
            Manners(words="off"),
        ),
        (
            {},
            {"interruption_mode": "disable_during_tool_and_turn", "force_pre_tool_speech": True},
            Manners(shields="turn", words="force"),
        ),
    ],
    ids=str,
)
async def test_a_tool_has_the_manners_of_its_server_or_its_own(
    live: Stage, shop: Shop, server: dict[str, Any], own: dict[str, Any], expected: Manners
) -> None:
    overrides = [{"tool_name": "price", **own}]
    kept = await equip(live.pool, live.clock, live.agent_id, shop, **server, tool_config_overrides=overrides)
    session, told = await live.begin()
    await told_of(told, McpConnections)
    box = session._answering._toolbox
    (price, _) = (await box.offer([kept.id], {})).named((), {})
    assert price.manners == expected


async def test_an_answer_sets_variables_that_later_calls_are_given(live: Stage, shop: Shop) -> None:
    def say(request: ModelRequest) -> ModelReply | str:
        calls = sum(message.role == "tool" for message in request.messages)
        names = ["price", "order"]
        return (
            ModelReply("m", "", (ToolCall(f"call_{calls}", names[calls], {"what": "tea"}),)) if calls < 2 else "Done."
        )

    shop.structured = {"offer": {"id": "o-1", "secret": "s"}}
    assignments = [
        {"dynamic_variable": "offer", "value_path": "offer.id"},
        {"dynamic_variable": "hidden", "value_path": "offer.secret", "sanitize": True},
    ]
    overrides = [
        {"tool_name": "price", "assignments": assignments},
        {
            "tool_name": "order",
            "input_overrides": {"what": {"source": "dynamic_variable", "dynamic_variable": "offer"}},
        },
    ]
    policy = {"approval_policy": "auto_approve_all", "tool_config_overrides": overrides}
    await equip(live.pool, live.clock, live.agent_id, shop, **policy)
    live.model.say = say
    session, told = await live.begin()
    session.user_message("Order some tea.")
    await answered(told)
    assert shop.ran == [("price", {"what": "tea"}), ("order", {"what": "o-1"})]
    first, _ = [event for event in await live.journal(session) if isinstance(event, ToolReturned)]
    assert first.result == '{"offer": {"id": "o-1", "secret": "[hidden]"}}'
    assert [(one.name, one.value, one.is_hidden) for one in first.assigned] == [
        ("offer", "o-1", False),
        ("hidden", "s", True),
    ]
    shown = [event.result for event in told if isinstance(event, McpToolCall) and event.state == "success"]
    assert shown[0] == ({"type": "text", "text": first.result},)


async def test_what_is_hidden_from_the_model_is_hidden_from_the_client(live: Stage, shop: Shop) -> None:
    own = {
        "tool_name": "price",
        "input_overrides": {"what": {"source": "constant", "constant_value": "tea-of-contract-17"}},
    }
    await equip(live.pool, live.clock, live.agent_id, shop, tool_config_overrides=[own])
    live.model.say = lambda request: (
        "Done." if request.messages[-1].role == "tool" else ModelReply("m", "", (ToolCall("call:1", "price", {}),))
    )
    session, told = await live.begin()
    session.user_message("How much is it?")
    await told_of(told, McpToolCall)
    session.mcp_approval("call:1", is_approved=True)
    await answered(told)
    assert shop.ran == [("price", {"what": "tea-of-contract-17"})]
    calls = [event for event in told if isinstance(event, McpToolCall)]
    assert [(call.state, call.tool_call_id, call.parameters) for call in calls] == [
        ("awaiting_approval", "call:1", {}),
        ("loading", "call:1", {}),
        ("success", "call:1", {}),
    ]


async def test_what_an_answer_has_set_reaches_headers_and_meta(live: Stage, shop: Shop) -> None:
    def say(request: ModelRequest) -> ModelReply | str:
        if request.messages[-1].role == "tool":
            return "Done."
        name = request.messages[-1].text
        return ModelReply("m", "", (ToolCall("call_1", name, {"what": "tea"}),))

    shop.structured = {"offer": {"id": "o-1"}}
    await equip(live.pool, live.clock, live.agent_id, shop, **naming_the_offer())
    live.model.say = say
    session, told = await live.begin(dynamic_variables={"offer": "none"})
    for count, tool in enumerate(("price", "order"), 1):
        session.user_message(tool)
        await told_of(told, ResponseComplete, count)
    assert [name for name, _ in shop.ran] == ["price", "order"]
    assert [meta["offer"] for meta in shop.metas] == ["none", "o-1"]
    assert shop.headers[0]["x-offer"] == "none"
    assert shop.headers[-1]["x-offer"] == "o-1"


async def test_an_unknown_server_is_shown_as_away(opens: Opens) -> None:
    config = {**CONFIG, "agent": {"prompt": {"prompt": "Hi", "mcp_server_ids": ["mcp_gone"]}}}
    async with opens(config) as live:
        session, told = await live.begin()
        (status,) = await told_of(told, McpConnections)
        assert status.integrations == (Integration("mcp_gone", is_connected=False),)
        session.user_message("Hi")
        await answered(told)


async def test_nothing_is_asked_in_zero_retention(opens: Opens, shop: Shop) -> None:
    async with opens(CONFIG, platform={"privacy": {"zero_retention_mode": True}}) as live:
        await equip(live.pool, live.clock, live.agent_id, shop, approval_policy="auto_approve_all")
        session, told = await live.begin()
        session.user_message("Hi")
        await answered(told)
        assert live.model.requests[0].tools == ()
        assert shop.listings == 0
