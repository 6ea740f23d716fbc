"""System tools: what the model may say wrongly, and what comes of it."""

import pytest

from greenline.tools.models import Buttons, Menu, Text, ToolContext
from greenline.tools.system import SystemTool, system_tools

CONTEXT = ToolContext("conv_1", "key")


def tool(name: str) -> SystemTool:
    [found] = [tool for tool in system_tools({name: {}}, interactive=True) if tool.name == name]
    return found


def test_only_switched_on_tools_are_offered() -> None:
    names = [t.name for t in system_tools({"end_call": {"description": "Mine"}, "skip_turn": None}, interactive=True)]
    assert names == ["end_call"]


def test_interactive_tools_need_a_channel_that_has_them() -> None:
    assert system_tools({"send_interactive_list": {}}, interactive=False) == ()


def test_an_own_description_replaces_ours() -> None:
    [ours] = system_tools({"end_call": {"description": ""}}, interactive=True)
    [own] = system_tools({"end_call": {"description": "Hang up"}}, interactive=True)
    assert ours.description.startswith("End the conversation")
    assert own.description == "Hang up"


def test_schemas_follow_no_references() -> None:
    schema = tool("send_interactive_list").spec.parameters
    assert schema["properties"]["sections"]["items"]["properties"]["rows"]["items"]["required"] == ["id", "title"]
    assert "$defs" not in schema


async def test_end_call_says_its_last_word() -> None:
    result = await tool("end_call").run({"reason": "done", "message": "Bye!"}, CONTEXT)
    assert result.say == (Text("Bye!"),)
    assert (result.ends, result.reason) == ("conversation", "done")


async def test_buttons_are_the_answer() -> None:
    arguments = {"body_text": "Sure?", "buttons": [{"id": "y", "title": "Yes"}, {"id": "n", "title": "No"}]}
    result = await tool("send_interactive_buttons").run(arguments, CONTEXT)
    [message] = result.say
    assert isinstance(message, Buttons)
    assert message.text == "Sure?\n[Yes]\n[No]"
    assert result.ends == "turn"


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({}, "body_text"),
        ({"body_text": "x", "buttons": []}, "buttons"),
        ({"body_text": "x", "buttons": [{"id": "1", "title": "t" * 21}]}, "buttons.0.title"),
        ({"body_text": "x", "buttons": [{"id": "1", "title": "A"}, {"id": "2", "title": "A"}]}, "title of its own"),
        ({"body_text": "x" * 1025, "buttons": [{"id": "1", "title": "A"}]}, "body_text"),
    ],
)
async def test_too_much_is_told_to_the_model(arguments: dict[str, object], fault: str) -> None:
    result = await tool("send_interactive_buttons").run(arguments, CONTEXT)
    assert result.is_error
    assert fault in result.text
    assert result.say == ()


async def test_a_list_has_ten_rows_at_most() -> None:
    rows = [{"id": str(n), "title": f"Row {n}"} for n in range(6)]
    sections = [
        {"title": "A", "rows": rows},
        {"title": "B", "rows": [{**row, "id": f"b{row['id']}"} for row in rows]},
    ]
    refused = await tool("send_interactive_list").run(
        {"body_text": "x", "button_text": "Open", "sections": sections}, CONTEXT
    )
    assert refused.is_error
    assert "12" in refused.text
    taken = await tool("send_interactive_list").run(
        {"body_text": "x", "button_text": "Open", "sections": sections[:1]}, CONTEXT
    )
    assert isinstance(taken.say[0], Menu)


@pytest.mark.parametrize(
    ("params", "pause"), [({}, -1.0), ({"wait_timeout_secs": None}, -1.0), ({"wait_timeout_secs": 20}, 20)]
)
async def test_a_skipped_turn_lasts_as_the_agent_says(params: dict[str, object], pause: float) -> None:
    [skip] = system_tools({"skip_turn": {"params": params}}, interactive=False)
    result = await skip.run({}, CONTEXT)
    assert (result.ends, result.pause) == ("turn", pause)
