"""Our models against the types of the official SDK: every field it knows, we know."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

import elevenlabs.types as sdk
import pydantic
import pytest

from greenline.agents.config import ConversationConfig, PlatformSettings, Workflow
from greenline.agents.initiation import InitiationData
from greenline.agents.models import AgentDefinition
from support.shapes import assert_complete, missing_fields

# ``safety`` is an answer of the server beside the settings; ``property_kind`` repeats a property's ``type``.
_NO_SETTINGS = {"safety", "property_kind"}

# Kept as they come: tools that only their own services understand, and overrides by JSON path.
_KEPT_WHOLE = ("_ApiIntegrationWebhook", "_Mcp", "_Smb", "SchemaOverridesValue_")


def models_in(annotation: Any) -> Iterator[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        yield annotation
    else:
        for part in typing.get_args(annotation):
            yield from models_in(part)


def unknown_fields(theirs: Any, ours: list[Any], path: str, seen: set[Any]) -> Iterator[str]:
    """Fields of the SDK's type ``theirs`` that none of ``ours``, the models at the same place, has."""
    for model in models_in(theirs):
        key = (model, *ours)
        if key in seen or any(part in model.__name__ for part in _KEPT_WHOLE):
            continue
        seen.add(key)
        hints = typing.get_type_hints(model, include_extras=True)
        for name, field in model.model_fields.items():
            if name in _NO_SETTINGS:
                continue
            here = f"{path}.{field.alias or name}"
            places = [mine for one in ours if (mine := field_type(one, field.alias or name)) is not None]
            if not places:
                yield here
            yield from unknown_fields(hints[name], [m for place in places for m in models_in(place)], here, seen)


def field_type(model: type[pydantic.BaseModel], name: str) -> Any:
    for field, info in model.model_fields.items():
        if (info.alias or field) == name:
            hint = typing.get_type_hints(model, include_extras=True)[field]
            # A workflow node carries a part of the configuration.
            return ConversationConfig if name == "conversation_config" and hint is not ConversationConfig else hint
    return None


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("ConversationalConfig", ConversationConfig),
        ("AgentPlatformSettingsRequestModel", PlatformSettings),
        ("AgentPlatformSettingsResponseModel", PlatformSettings),
        ("AgentWorkflowRequestModel", Workflow),
        ("AgentWorkflowResponseModel", Workflow),
        ("ConversationInitiationClientDataRequestInput", InitiationData),
    ],
)
def test_every_field_of_the_sdk_is_known(theirs: str, ours: type[pydantic.BaseModel]) -> None:
    assert list(unknown_fields(getattr(sdk, theirs), [ours], theirs, set())) == []


def test_the_walk_finds_a_field_that_is_not_known() -> None:
    class Smaller(pydantic.BaseModel):
        quality: str = ""

    missing = list(unknown_fields(sdk.AsrConversationalConfig, [Smaller], "asr", set()))

    assert missing == ["asr.provider", "asr.user_input_audio_format", "asr.keywords"]


def test_defaults_have_every_required_field() -> None:
    dumped = AgentDefinition().model_dump(mode="json")

    assert_complete(sdk.ConversationalConfig, dumped["conversation_config"])
    assert_complete(sdk.AgentPlatformSettingsResponseModel, dumped["platform_settings"])
    assert_complete(sdk.AgentWorkflowResponseModel, dumped["workflow"])


FULL_WORKFLOW = {
    "nodes": {
        "start_node": {"type": "start"},
        "talk": {
            "type": "override_agent",
            "additional_prompt": "Be kind.",
            "conversation_config": {
                "agent": {
                    "prompt": {
                        "llm": "gpt-4o",
                        "built_in_tools": {
                            "end_call": {"name": "end_call", "params": {"system_tool_type": "end_call"}}
                        },
                    }
                },
                "language_presets": {"de": {"overrides": {"agent": {"first_message": "Hallo"}}}},
            },
        },
        "hello": {"type": "say", "message": {"type": "literal", "text": "Hello"}},
        "ask": {"type": "say", "message": {"type": "prompt", "prompt": "Ask for the order number."}},
        "other": {"type": "standalone_agent", "agent_id": "agent_x"},
        "call": {
            "type": "phone_number",
            "transfer_destination": {"type": "sip_uri", "sip_uri": "sip:a@b.example"},
            "post_dial_digits": {"type": "static", "value": "1"},
            "uui": {"data": "x"},
        },
        "tool": {"type": "tool", "tools": [{"tool_id": "tool_x", "schema_overrides": {"a": {"source": "omit"}}}]},
        "set": {
            "type": "update_state",
            "updates": [{"variable_name": "n", "expression": {"type": "number_literal", "value": 1}}],
        },
        "end": {"type": "end"},
    },
    "edges": {
        "e1": {"source": "start_node", "target": "talk", "forward_condition": {"type": "unconditional"}},
        "e2": {
            "source": "talk",
            "target": "end",
            "forward_condition": {
                "type": "expression",
                "expression": {
                    "type": "and_operator",
                    "children": [
                        {
                            "type": "gt_operator",
                            "left": {"type": "dynamic_variable", "name": "n"},
                            "right": {"type": "number_literal", "value": 2.5},
                        },
                        {
                            "type": "conditional_operator",
                            "condition": {
                                "type": "llm",
                                "value_schema": {"type": "boolean", "description": "d"},
                                "prompt": "p",
                            },
                            "trueExpression": {"type": "boolean_literal", "value": True},
                            "falseExpression": {"type": "null_literal"},
                        },
                    ],
                },
            },
        },
        "e3": {"source": "talk", "target": "tool", "forward_condition": {"type": "llm", "condition": "wants a tool"}},
        "e4": {"source": "tool", "target": "hello", "forward_condition": {"type": "result", "successful": True}},
    },
}


def test_a_workflow_of_all_nodes_has_every_required_field() -> None:
    dumped = Workflow.model_validate(FULL_WORKFLOW).model_dump(mode="json")

    assert_complete(sdk.AgentWorkflowResponseModel, dumped)
    assert Workflow.model_validate(dumped).model_dump(mode="json") == dumped


FULL_PROMPT = {
    "built_in_tools": {
        "end_call": {},
        "language_detection": {},
        "skip_turn": {},
        "play_keypad_touch_tone": {},
        "voicemail_detection": {"params": {"voicemail_message": "Bye"}},
        "transfer_to_agent": {"params": {"transfers": [{"agent_id": "agent_x", "condition": "c"}]}},
        "transfer_to_number": {
            "params": {
                "transfers": [
                    {"condition": "c", "transfer_destination": {"type": "phone", "phone_number": "+4930123456"}},
                ]
            }
        },
    },
    "custom_llm": {"url": "https://llm.example", "request_headers": {"a": "b", "c": {"secret_id": "s"}}},
    "knowledge_base": [{"type": "url", "name": "n", "id": "i"}],
    "backup_llm_config": {"preference": "override", "order": ["gpt-4o", "claude-sonnet-5"]},
    "tools": [
        {
            "type": "webhook",
            "name": "order",
            "description": "d",
            "assignments": [{"dynamic_variable": "v", "value_path": "a.0.b"}],
            "api_schema": {
                "url": "https://{{system__env_host}}/{id}",
                "path_params_schema": {"id": {"type": "string", "description": "the id"}},
                "query_params_schema": {"properties": {"q": {"type": ["string", "null"], "constant_value": "x"}}},
                "request_body_schema": {
                    "type": "object",
                    "properties": {
                        "list": {"type": "array", "items": {"type": "string", "description": "one"}},
                        "deep": {"type": "object", "properties": {"n": {"type": "number", "dynamic_variable": "n"}}},
                    },
                    "required": ["list"],
                },
            },
        },
        {"type": "client", "name": "c", "description": "d", "response_timeout_secs": -1, "expects_response": True},
        {"type": "system", "name": "end_call", "params": {"system_tool_type": "end_call"}},
    ],
}


def test_a_prompt_of_all_tools_has_every_required_field() -> None:
    config = ConversationConfig.model_validate({"agent": {"prompt": FULL_PROMPT}}).model_dump(mode="json")

    assert_complete(sdk.ConversationalConfig, config)
    assert ConversationConfig.model_validate(config).model_dump(mode="json") == config


def test_the_helper_sees_what_is_missing() -> None:
    assert list(missing_fields(sdk.AgentWorkflowResponseModel, {"edges": {}, "nodes": {"a": {"type": "end"}}})) == [
        "$.nodes.a.position is missing",
        "$.nodes.a.edge_order is missing",
        "$.nodes.a.outcome is missing",
        "$.prevent_subagent_loops is missing",
    ]
    assert list(missing_fields(list[int] | None, [1, "a"])) == ["$[1]: 'a' is no int"]
