"""The parameters of client tools: what the model gives, and what it does not."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from greenline.agents.config import ConversationConfig
from greenline.agents.config.tools import ClientTool
from greenline.channels.live.client_tools import FAILED, UNTOLD, ClientToolCall, client_tools
from greenline.channels.live.effects import ClientCalls
from greenline.conversations.tool_calls import was_run
from greenline.tools.models import ToolContext

TOOL = {
    "type": "client",
    "name": "show",
    "description": "Shows an order.",
    "parameters": {
        "type": "object",
        "required": ["order"],
        "properties": {
            "shop": {"type": "string", "constant_value": "fern"},
            "order": {
                "type": "object",
                "properties": {
                    "number": {"type": "string", "description": "Its number"},
                    "customer": {"type": "string", "dynamic_variable": "customer_id"},
                },
            },
        },
    },
}


async def asked(arguments: dict[str, Any]) -> dict[str, Any]:
    """What the client gets when the model calls the tool."""
    told: list[dict[str, Any]] = []
    tool = ClientToolCall(
        ClientTool.model_validate(TOOL),
        {"customer_id": 7},
        lambda call_id, name, given: told.append(dict(given)),
        ClientCalls(),
    )
    await tool.run(arguments, ToolContext("conv_1", "msg_1:call_1"))
    [given] = told
    return given


async def test_constants_and_variables_are_filled_in_at_every_depth() -> None:
    given = await asked({"order": {"number": "12"}})
    assert given == {"shop": "fern", "order": {"number": "12", "customer": 7}}
    assert await asked({}) == {"shop": "fern", "order": {"customer": 7}}


async def test_a_client_that_is_told_of_no_calls_is_not_waited_for() -> None:
    """Nor does the model read that it was told."""
    prompt = {"tools": [{**TOOL, "expects_response": True}, {**TOOL, "name": "tell"}]}
    config = ConversationConfig.model_validate({"agent": {"prompt": prompt}})
    asked: list[str] = []
    for tool in client_tools(config, {}, lambda call_id, name, given: asked.append(name), ClientCalls()):
        result = await tool.run({"order": {"number": "12"}}, ToolContext("conv_1", "msg_1:call_1"))
        assert (result.text, result.is_error, was_run(result.error_type)) == (UNTOLD, True, False)
    assert asked == []


async def test_what_the_model_invents_does_not_replace_them() -> None:
    given = await asked({"shop": "another", "order": {"number": "12", "customer": 99}})
    assert given == {"shop": "fern", "order": {"number": "12", "customer": 7}}


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("auto", FAILED),
        ("hide", FAILED),
        ("passthrough", "No such order: 12\nTraceback: ..."),
        ("summarized", "No such order: 12"),
    ],
)
async def test_what_a_model_is_told_of_a_clients_error(mode: str, told: str) -> None:
    error, calls = "No such order: 12\nTraceback: ...", ClientCalls()
    config = {**TOOL, "expects_response": True, "tool_error_handling_mode": mode}

    def fail(call_id: str, name: str, given: Mapping[str, Any]) -> None:
        asyncio.get_running_loop().call_soon(partial(calls.answer, call_id, error, is_error=True))

    tool = ClientToolCall(ClientTool.model_validate(config), {}, fail, calls)
    result = await tool.run({}, ToolContext("conv_1", "msg_1:call_1"))
    assert (result.text, result.is_error, result.error_type) == (told, True, "client_error")
    assert result.raw_error == error


async def test_a_summary_of_an_error_is_short() -> None:
    calls = ClientCalls()
    config = {**TOOL, "expects_response": True, "tool_error_handling_mode": "summarized"}

    def fail(call_id: str, name: str, given: Mapping[str, Any]) -> None:
        asyncio.get_running_loop().call_soon(partial(calls.answer, call_id, "x" * 1000, is_error=True))

    tool = ClientToolCall(ClientTool.model_validate(config), {}, fail, calls)
    result = await tool.run({}, ToolContext("conv_1", "msg_1:call_1"))
    assert result.text == f"{'x' * 200}…"
