"""The parameters of client tools: what the model gives, and what it does not."""

from typing import Any

from greenline.agents.config.tools import ClientTool
from greenline.channels.live.client_tools import ClientToolCall
from greenline.channels.live.effects import ClientCalls
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


async def test_what_the_model_invents_does_not_replace_them() -> None:
    given = await asked({"shop": "another", "order": {"number": "12", "customer": 99}})
    assert given == {"shop": "fern", "order": {"number": "12", "customer": 7}}
