"""Definitions that clients bring, in the forms in which they have them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from greenline.agents.brought import MAX_NAME, read_definition, read_tools
from support.socket_agents import client_tool


def tools_of(definition: Any) -> dict[str, Any]:
    """The tools of a definition by their names."""
    return {tool.name: tool for tool in definition.conversation_config.agent.prompt.tools}


def test_overrides_change_the_agent_one_after_the_other() -> None:
    exported = {"name": "Tea", "conversation_config": {"agent": {"language": "de", "first_message": "Hallo!"}}}
    overrides: list[dict[str, Any]] = [
        {"name": "Coffee", "conversation_config": {"agent": {"first_message": "Hi!"}}},
        {"conversation_config": {"agent": {"first_message": "Hello!"}}},
    ]
    name, definition = read_definition(exported, overrides, [])
    assert name == "Coffee"
    assert definition.conversation_config.agent.first_message == "Hello!"
    assert definition.conversation_config.agent.language == "de"
    assert exported["name"] == "Tea"


def test_it_is_out_of_the_lists_and_opens_to_nobody_else() -> None:
    exported = {"platform_settings": {"archived": False, "auth": {"enable_auth": False}, "summary_language": "de"}}
    _, definition = read_definition(exported, [], [])
    assert definition.platform_settings.archived
    assert definition.platform_settings.auth.enable_auth
    assert definition.platform_settings.summary_language == "de"


def test_tools_come_bare_or_wrapped_and_take_the_place_of_namesakes() -> None:
    own = [client_tool("price", expects_response=False), client_tool("stock", expects_response=False)]
    exported = {"conversation_config": {"agent": {"prompt": {"tools": own}}}}
    wrapped = {"id": "tool_1", "tool_config": client_tool("order", expects_response=True), "access_info": {}}
    given = read_tools([client_tool("price", expects_response=True), wrapped])
    _, definition = read_definition(exported, [], given)
    found = tools_of(definition)
    assert list(found) == ["stock", "price", "order"]
    assert (found["price"].expects_response, found["stock"].expects_response) == (True, False)


@pytest.mark.parametrize("tool", [{}, {"type": "client"}, {"tool_config": "price"}, {"id": "tool_1"}])
def test_what_is_no_tool_is_refused_with_its_number(tool: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        read_tools([client_tool("price", expects_response=True), tool])
    assert caught.value.errors()[0]["loc"][0] == 1


@pytest.mark.parametrize("name", [None, "", 5, "x" * 1000])
def test_any_name_will_do(name: Any) -> None:
    assert 0 < len(read_definition({"name": name}, [], [])[0]) <= MAX_NAME


@pytest.mark.parametrize("exported", [{"conversation_config": 5}, {"platform_settings": []}, {"workflow": "no"}])
def test_what_is_no_definition_is_refused_with_its_place(exported: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        read_definition(exported, [], [])
    assert caught.value.errors()[0]["loc"] == tuple(exported)
