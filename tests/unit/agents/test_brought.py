"""Definitions that clients bring, in the forms in which they have them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from greenline.agents.brought import (
    KeyNeeded,
    NestedTooDeeply,
    check_brings_all,
    read_agent,
    read_tools,
)
from greenline.agents.models import MAX_NAME
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
    brought = read_agent(exported, overrides, [])
    definition = brought.definition
    assert brought.name == "Coffee"
    assert definition.conversation_config.agent.first_message == "Hello!"
    assert definition.conversation_config.agent.language == "de"
    assert exported["name"] == "Tea"


def test_it_is_out_of_the_lists_and_opens_to_nobody_else() -> None:
    auth = {"enable_auth": False, "shareable_token": "known to many"}
    exported = {"platform_settings": {"archived": False, "auth": auth, "summary_language": "de"}}
    settings = read_agent(exported, [], []).definition.platform_settings
    assert settings.archived
    assert (settings.auth.enable_auth, settings.auth.shareable_token) == (True, None)
    assert settings.summary_language == "de"


def test_a_recording_for_those_who_wait_is_passed_over() -> None:
    path = {"audio_path": "file_1", "audio_url": "/x", "original_filename": "x", "duration_secs": 1, "size_bytes": 1}
    exported = {"platform_settings": {"queueing_config": {"hold_audio": path, "wait_timeout_seconds": 7}}}
    queueing = read_agent(exported, [], []).definition.platform_settings.queueing_config
    assert (queueing.hold_audio, queueing.wait_timeout_seconds) == (None, 7)


def test_tools_come_bare_or_wrapped_and_take_the_place_of_namesakes() -> None:
    own = [client_tool("price", expects_response=False), client_tool("stock", expects_response=False)]
    exported = {"conversation_config": {"agent": {"prompt": {"tools": own}}}}
    wrapped = {"id": "tool_1", "tool_config": client_tool("order", expects_response=True), "access_info": {}}
    given = read_tools([client_tool("price", expects_response=True), wrapped])
    found = tools_of(read_agent(exported, [], given).definition)
    assert list(found) == ["stock", "price", "order"]
    assert (found["price"].expects_response, found["stock"].expects_response) == (True, False)


@pytest.mark.parametrize("tool", [{}, {"type": "client"}, {"tool_config": "price"}, {"id": "tool_1"}])
def test_what_is_no_tool_is_refused_with_its_number(tool: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        read_tools([client_tool("price", expects_response=True), tool])
    assert caught.value.errors()[0]["loc"][0] == 1


@pytest.mark.parametrize("name", [None, "", 5, "x" * 1000])
def test_any_name_will_do(name: Any) -> None:
    assert 0 < len(read_agent({"name": name}, [], []).name) <= MAX_NAME


@pytest.mark.parametrize("exported", [{"conversation_config": 5}, {"platform_settings": []}, {"workflow": "no"}])
def test_what_is_no_definition_is_refused_with_its_place(exported: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        read_agent(exported, [], [])
    assert caught.value.errors()[0]["loc"] == tuple(exported)


def test_what_is_nested_too_deeply_to_be_kept_is_refused() -> None:
    deep: Any = "the deepest"
    for _ in range(250):
        deep = [deep]
    given = read_tools([{"type": "other", "name": "price", "schema": deep}])
    with pytest.raises(NestedTooDeeply):
        read_agent({}, [], given)


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ({"custom_llm": {"api_key": {"secret_id": "secret_1"}}}, "custom_llm.api_key.secret_id"),
        ({"headers": [{"X-Key": {"env_var_label": "crm"}}]}, "headers.0.X-Key.env_var_label"),
        ({"prompt": {"mcp_server_ids": ["mcp_1"]}}, "prompt.mcp_server_ids"),
        ({"first_message": "Hi! {{ system__env_host }}"}, "first_message"),
    ],
)
def test_who_shows_no_key_uses_nothing_that_is_kept(part: dict[str, Any], place: str) -> None:
    with pytest.raises(KeyNeeded, match=f"Take {place} out"):
        check_brings_all(part)


def test_names_that_only_look_like_it_are_for_everybody() -> None:
    parameters = {"type": "object", "properties": {"secret_id": {"type": "string", "description": "Theirs."}}}
    check_brings_all({"tools": [{"parameters": parameters}], "mcp_server_ids": [], "text": "{{name}} system__env_x"})
