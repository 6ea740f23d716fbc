from __future__ import annotations

from typing import Any

import pytest
from elevenlabs.types.prompt_agent_api_model_output_tools_item import (
    PromptAgentApiModelOutputToolsItem_ApiIntegrationWebhook,
)
from pydantic import TypeAdapter, ValidationError

from greenline.agents.config import ConversationConfig
from greenline.agents.config.system_tools import BuiltInTools
from greenline.agents.config.tool_schema import Property
from greenline.agents.config.tools import InlineTool

PROPERTY: TypeAdapter[Any] = TypeAdapter(Property)
TOOL: TypeAdapter[Any] = TypeAdapter(InlineTool)

LEAF = {"type": "string", "description": "d"}


@pytest.mark.parametrize(
    "leaf",
    [
        {"type": "string", "description": "the city"},
        {"type": ["string", "null"], "description": "the city"},
        {"type": "integer", "dynamic_variable": "n"},
        {"type": "boolean", "constant_value": False},
        {"type": "number", "constant_value": 0},
        {"type": "string", "is_system_provided": True},
        {"type": "string", "is_omitted": True},
        {"type": "string", "description": "d", "allowed_values": {"dynamic_variable": "ids"}},
        {"type": "object", "properties": {"a": LEAF}, "required": ["a"], "description": "d"},
        {"type": "object", "properties": {}},
        {"type": "object", "constant_value": {"a": 1}},
        {"type": "array", "items": LEAF, "description": "d"},
        {"type": "array", "dynamic_variable": "list"},
        {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "array", "items": LEAF}}}},
    ],
)
def test_properties_with_one_source_are_accepted(leaf: dict[str, Any]) -> None:
    PROPERTY.validate_python(leaf)


@pytest.mark.parametrize(
    ("leaf", "reason"),
    [
        ({"type": "string"}, "got none"),
        ({"type": "string", "description": ""}, "got none"),
        ({"type": "string", "constant_value": ""}, "got none"),
        ({"type": "string", "description": "d", "dynamic_variable": "v"}, "description and dynamic_variable"),
        ({"type": "string", "is_omitted": True, "constant_value": 1}, "constant_value and is_omitted"),
        ({"type": "string", "dynamic_variable": "v", "allowed_values": {"dynamic_variable": "i"}}, "allowed_values"),
        ({"type": "date", "description": "d"}, "Input should be"),
        ({"type": ["string"], "description": "d"}, "at least 2 items"),
        ({"type": "array"}, "needs items"),
        ({"type": "array", "items": {"type": "string"}}, "got none"),
        ({"type": "array", "items": LEAF, "description": "d", "dynamic_variable": "v"}, "only one of"),
        ({"type": "object", "properties": {"a": LEAF}, "required": ["b"]}, "do not exist: b"),
        ({"type": "object", "properties": {"a": {"type": "string"}}}, "got none"),
        ({"type": "object", "dynamic_variable": "v", "is_omitted": True}, "only one of"),
    ],
)
def test_properties_with_no_or_several_sources_are_refused(leaf: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        PROPERTY.validate_python(leaf)


def webhook(**api: Any) -> dict[str, Any]:
    return {"type": "webhook", "name": "t", "description": "d", "api_schema": {"url": "https://x.example", **api}}


def integration(**more: Any) -> dict[str, Any]:
    ids = {"api_integration_id": "i", "api_integration_connection_id": "c"}
    return {"type": "api_integration_webhook", "name": "t", "description": "d", **ids, **more}


OVERRIDES = {
    "body.a": {"source": "constant", "constant_value": 1},
    "body.b": {"source": "dynamic_variable", "dynamic_variable": "v"},
    "body.c": {"source": "llm", "prompt": "the city"},
    "body.d": {"source": "omit"},
    "body.e": {"source": "future", "x": 1},
}
PATH = {"path_params_schema": {"id": LEAF}}


@pytest.mark.parametrize(
    "tool",
    [
        webhook(),
        webhook(url="https://x.example/{id}", **PATH),
        webhook(url="https://{{system__env_host}}/{id}", **PATH),
        webhook(request_headers={"a": "b", "c": {"secret_id": "s"}, "d": {"env_var_label": "e"}}),
        webhook(auth_connection={"auth_connection_id": "a"}),
        {**webhook(), "response_timeout_secs": 300},
        {"type": "client", "name": "t", "description": "d", "expects_response": True, "response_timeout_secs": -1},
        {"type": "system", "name": "x", "params": {"system_tool_type": "update_state", "future": 1}},
        {"type": "code", "anything": {"goes": True}},
        {"type": "smb", "anything": {"goes": True}},
        {"type": "mcp", "name": "find", "mcp_input_schema": {"type": "object"}, "response_timeout_secs": 300},
        integration(),
        integration(api_schema_overrides={"request_headers": {"a": "b", "c": {"variable_name": "v"}}}),
        integration(api_schema_overrides={"schema_overrides": OVERRIDES}),
    ],
)
def test_tools_that_are_accepted(tool: dict[str, Any]) -> None:
    kept = TOOL.dump_python(TOOL.validate_python(tool), mode="json")

    assert TOOL.dump_python(TOOL.validate_python(kept), mode="json") == kept


@pytest.mark.parametrize(
    ("tool", "reason"),
    [
        (webhook(url="x.example"), "must begin with https"),
        (webhook(url="{{system__env_url}}"), "must begin with https"),
        (webhook(url="https://x.example/{{order_id}}"), "make order_id a path or query parameter"),
        (webhook(url="https://x.example/{id}"), "must be the same"),
        (webhook(url="https://x.example/{{ order_id }}/" + "{" * 100_000), "make order_id a path"),
        (webhook(**PATH), "must be the same"),
        (webhook(query_params_schema={"properties": {}, "required": ["q"]}), "do not exist: q"),
        ({**webhook(), "response_timeout_secs": 4}, "greater than or equal to 5"),
        ({**webhook(), "name": "two words"}, "match pattern"),
        ({**webhook(), "name": "a" * 65}, "match pattern"),
        ({"type": "mcp", "name": "two words"}, "match pattern"),
        ({"type": "mcp", "name": "t", "response_timeout_secs": 4}, "greater than or equal to 5"),
        ({"type": "mcp", "name": "t", "approval_policy": "never"}, "approval_policy"),
        (integration(response_timeout_secs=301), "less than or equal to 300"),
        ({**integration(), "api_integration_id": None}, "api_integration_id"),
        (integration(api_schema_overrides={"response_filter_mode": "some"}), "response_filter_mode"),
        (
            integration(
                api_schema_overrides={
                    "schema_overrides": {"a": {"source": "dynamic_variable", "dynamic_variable": ""}}
                }
            ),
            "at least 1 character",
        ),
        ({"type": "client", "name": "t", "description": "d", "response_timeout_secs": -1}, "expects_response"),
        ({"type": "client", "name": "t", "description": "d", "response_timeout_secs": 0}, "1 to 120"),
        ({"type": "client", "name": "t", "description": "d", "response_timeout_secs": 121}, "less than or equal"),
        (
            {"type": "client", "name": "t", "description": "d", "expects_response": True, "execution_mode": "async"},
            "async tool",
        ),
    ],
)
def test_tools_that_are_refused(tool: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        TOOL.validate_python(tool)


def test_a_tool_of_an_integration_is_given_back_whole() -> None:
    """All fields that the SDK's type demands are there."""
    sent = TOOL.dump_python(TOOL.validate_python(integration()), mode="json")

    wanted = PromptAgentApiModelOutputToolsItem_ApiIntegrationWebhook.model_fields
    assert {name for name, field in wanted.items() if field.is_required()} <= set(sent)
    assert (sent["response_timeout_secs"], sent["execution_mode"]) == (20, "immediate")


def test_a_tool_of_an_mcp_server_is_given_back_whole() -> None:
    sent = TOOL.dump_python(TOOL.validate_python({"type": "mcp", "name": "find", "mcp_server_id": "m"}), mode="json")

    assert sent["mcp_server_id"] == "m"
    assert (sent["response_timeout_secs"], sent["execution_mode"]) == (30, "immediate")
    assert (sent["approval_policy"], sent["pre_tool_speech"]) == ("require_approval_all", "auto")
    assert (sent["interruption_mode"], sent["tool_error_handling_mode"]) == ("allow", "auto")


def test_an_error_names_the_place_of_the_leaf() -> None:
    tool = webhook(request_body_schema={"type": "object", "properties": {"a": {"type": "string"}}})

    with pytest.raises(ValidationError) as error:
        ConversationConfig.model_validate({"agent": {"prompt": {"tools": [tool]}}})

    place = error.value.errors()[0]["loc"]
    assert [part for part in place if part not in ("webhook", "other")] == [
        *("agent", "prompt", "tools", 0, "api_schema", "request_body_schema", "properties", "a")
    ]


def test_the_key_of_a_built_in_tool_names_it() -> None:
    tools = BuiltInTools.model_validate({"end_call": {}, "skip_turn": {"params": {"wait_timeout_secs": 2}}})

    assert tools.end_call is not None
    assert tools.skip_turn is not None
    assert (tools.end_call.name, tools.end_call.params.system_tool_type) == ("end_call", "end_call")
    assert tools.skip_turn.params.model_dump() == {"system_tool_type": "skip_turn", "wait_timeout_secs": 2}
    assert list(tools.enabled()) == ["end_call", "skip_turn"]


def test_an_older_clients_number_is_given_back_as_a_destination() -> None:
    params = {"transfers": [{"phone_number": "+4930123456", "condition": "c"}]}

    tools = BuiltInTools.model_validate({"transfer_to_number": {"params": params}}).model_dump(mode="json")

    (transfer,) = tools["transfer_to_number"]["params"]["transfers"]
    assert transfer["transfer_destination"] == {"type": "phone", "phone_number": "+4930123456"}


@pytest.mark.parametrize("tool", ["end_call", "send_interactive_buttons", "send_interactive_list"])
def test_a_built_in_tool_is_switched_by_truth_too(tool: str) -> None:
    assert tool in BuiltInTools.model_validate({tool: True}).enabled()
    assert tool in BuiltInTools.model_validate({tool: {}}).enabled()
    assert BuiltInTools.model_validate({tool: False}).enabled() == {}
    assert BuiltInTools.model_validate({tool: None}).enabled() == {}
    with pytest.raises(ValidationError):
        BuiltInTools.model_validate({tool: "yes"})
