"""What a model is told of a foreign tool, what it may give, and what it reads of an answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from greenline.agents.config.base import Map
from greenline.agents.config.service_tools import SchemaOverride
from greenline.tools.mcp.client import Answer
from greenline.tools.mcp.endpoint import Endpoint
from greenline.tools.mcp.exchange import STREAM_SECONDS, Exchange
from greenline.tools.mcp.models import McpServerConfig, tool_hash
from greenline.tools.mcp.overrides import given_arguments, shown_schema
from greenline.tools.mcp.results import CUT, MAX_SHOWN, MAX_TEXT, NOTHING, blocks_of, text_of
from greenline.tools.mcp.schemas import MAX_DEPTH, fault_of, plain_object
from greenline.tools.mcp.toolbox import MAX_NAME, unique_name
from support.virtual_time import run_in_virtual_time

ORDER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "what": {"type": "string", "description": "What is ordered."},
        "to": {"type": "object", "properties": {"id": {"type": "string"}, "zip": {"type": "string"}}},
    },
    "required": ["what", "to"],
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "items", "anyOf", "required", "$ref", "enum", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        ORDER,
        {"type": "object", "properties": {"a": True}, "additionalProperties": False},
        {"type": "object", "properties": {"a": {"type": ["string", "null"], "enum": ["x", None]}}},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}}},
        {"type": "object", "properties": {"a": {"type": "array", "items": {"anyOf": [{"type": "integer"}]}}}},
        deep(MAX_DEPTH - 1),
    ],
)
def test_schemas_that_a_model_can_be_told_of(schema: dict[str, Any]) -> None:
    assert fault_of(schema) == ""


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({}, "not of type object"),
        ({"type": "string"}, "not of type object"),
        ({"type": ["object"]}, "not of type object"),
        ({"type": "object", "properties": {"a": {"type": "text"}}}, "unknown type at /properties/a"),
        ({"type": "object", "properties": {"a": {"type": 7}}}, "unknown type"),
        ({"type": "object", "properties": {"a": {"type": [{}]}}}, "unknown type"),
        ({"type": "object", "properties": {"a": "string"}}, "no schema at /properties/a"),
        ({"type": "object", "properties": []}, "no object properties at its root"),
        ({"type": "object", "required": "a"}, "no list required"),
        ({"type": "object", "properties": {"two words": {}}}, "unusual name at its root"),
        ({"type": "object", "properties": {"a": {"$ref": "https://example.com/a"}}}, "points out of itself"),
        ({"type": "object", "properties": {"a": {"items": 7}}}, "no schema at /properties/a/items"),
        (deep(MAX_DEPTH), "more than 32 schemas within each other"),
        (deep(100), "nested deeper than 100 levels"),
        ({"type": "object", "default": json.loads("[" * 100 + "]" * 100)}, "nested deeper than 100 levels"),
        ({"type": "object", "description": "x" * 40_000}, "larger than"),
    ],
)
def test_schemas_that_a_provider_would_refuse(schema: dict[str, Any], fault: str) -> None:
    assert fault in fault_of(schema)


@given(st.dictionaries(st.sampled_from(["type", "properties", "items", "required", "$defs"]), JSON, max_size=4))
def test_no_schema_makes_the_check_fail(schema: dict[str, Any]) -> None:
    assert isinstance(fault_of(schema), str)
    whole = {**schema, "type": "object"}
    assert isinstance(fault_of(whole), str)
    if not fault_of(whole):
        assert fault_of(plain_object(whole)) == ""


def test_what_only_some_providers_take_is_taken_off() -> None:
    given = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"names": {"type": "array"}, "pair": {"type": "array", "items": {"type": "string"}}},
        "anyOf": [{"required": ["names"]}, {"required": ["pair"]}],
    }
    assert plain_object(given) == {
        "type": "object",
        "properties": {
            "names": {"type": "array", "items": {}},
            "pair": {"type": "array", "items": {"type": "string"}},
        },
    }
    assert plain_object({"type": "object"}) == {"type": "object", "properties": {}}


def overrides(**by_path: dict[str, Any]) -> dict[str, Any]:
    adapter: TypeAdapter[dict[str, Any]] = TypeAdapter(Map[SchemaOverride])
    return adapter.validate_python({path.replace("__", "."): value for path, value in by_path.items()})


def test_what_the_business_gives_is_not_asked_for() -> None:
    chosen = overrides(
        what={"source": "llm", "prompt": "The tea's name."},
        to__id={"source": "dynamic_variable", "dynamic_variable": "customer"},
        to__zip={"source": "omit"},
        note={"source": "constant", "constant_value": "by phone"},
    )
    shown = shown_schema(ORDER, chosen)
    assert shown["properties"] == {
        "what": {"type": "string", "description": "The tea's name."},
        "to": {"type": "object", "properties": {}, "required": []},
    }
    assert ORDER["properties"]["what"]["description"] == "What is ordered."

    asked = {"what": "oolong", "to": {"zip": "made up", "id": "made up"}}
    assert given_arguments(asked, chosen, {"customer": "c7"}) == {
        "what": "oolong",
        "to": {"id": "c7"},
        "note": "by phone",
    }
    assert given_arguments({"to": "nonsense"}, chosen, {}) == {"to": {}, "note": "by phone"}


def test_the_text_of_an_answer() -> None:
    blocks = (
        {"type": "text", "text": "Here:"},
        {"type": "image", "data": "aGk=", "mimeType": "image/png"},
        {"type": "resource_link", "name": "list", "uri": "https://example.com/list"},
        {"type": "resource", "resource": {"uri": "file:///a", "text": "inside"}},
        {"type": "resource", "resource": {"uri": "file:///b", "blob": "aGk="}},
        {"type": "of tomorrow"},
    )
    assert text_of(Answer(blocks)).splitlines() == [
        "Here:",
        "[image of the type image/png, 2 bytes, which can't be shown]",
        "[list: https://example.com/list]",
        "inside",
        "[file:///b, which can't be shown]",
    ]
    assert text_of(Answer((), {"euros": 7})) == '{"euros":7}'
    assert text_of(Answer(())) == NOTHING
    assert "0 bytes" in text_of(Answer(({"type": "audio", "mimeType": "audio/wav"},)))


def test_a_long_answer_is_cut() -> None:
    long = Answer(({"type": "text", "text": "x" * (MAX_TEXT + 1)},))
    assert text_of(long) == "x" * MAX_TEXT + CUT
    assert blocks_of(long) == long.blocks
    huge = Answer(({"type": "image", "data": "x" * MAX_SHOWN, "mimeType": "image/png"},))
    assert [block["type"] for block in blocks_of(huge)] == ["text"]


def test_names_that_providers_take() -> None:
    assert unique_name("price", "Shop", ()) == "price"
    assert unique_name("shop/find.price", "Shop", ()) == "shop_find_price"
    assert unique_name("7up", "Shop", ()) == "_7up"
    assert unique_name("price", "My shop", {"price"}) == "My_shop_price"
    assert unique_name("price", "Shop", {"price", "Shop_price"}) == "Shop_price_2"


@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=100))
def test_every_name_is_one_that_providers_take(tool: str, server: str) -> None:
    used: set[str] = set()
    for _ in range(4):
        name = unique_name(tool, server, used)
        assert name not in used
        assert 1 <= len(name) <= MAX_NAME
        assert all(character.isascii() and (character.isalnum() or character in "_-") for character in name)
        assert name[0].isalpha() or name[0] == "_"
        used.add(name)


def test_the_hash_is_that_of_what_was_looked_at() -> None:
    turned = json.loads(json.dumps(ORDER))
    turned["properties"] = dict(reversed(ORDER["properties"].items()))
    same = tool_hash("order", "Orders.", ORDER)
    assert tool_hash("order", "Orders.", turned) == same
    # JSON.stringify writes 1.0 as 1.
    limits = [{"properties": {"n": {"minimum": number, "enum": [1.5, number, 1e300]}}} for number in (1.0, 1)]
    assert len({tool_hash("order", "Orders.", schema) for schema in limits}) == 1
    others = {
        tool_hash("orders", "Orders.", ORDER),
        tool_hash("order", "Orders!", ORDER),
        tool_hash("order", "Orders.", {}),
    }
    assert same not in others
    assert len(others) == 3


def test_no_text_repeats_a_secret() -> None:
    endpoint = Endpoint("SSE", "https://example.com", secrets=frozenset({"abc", "abcdef"}))
    assert endpoint.discreet("abcdef and abc") == "*** and ***"
    assert len(endpoint.discreet("x" * 10_000)) == 500


def test_a_server_that_ends_its_streams_is_not_called_again_at_once() -> None:
    async def ended(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, stream=httpx2.ByteStream(b"retry: 0\n\n"))

    async def listen() -> float:
        exchange = Exchange(httpx2.MockTransport(ended), listens=True)
        began = asyncio.get_running_loop().time()
        for _ in range(11):
            await exchange.handle_async_request(httpx2.Request("GET", "https://example.com/mcp"))
        return asyncio.get_running_loop().time() - began

    assert run_in_virtual_time(listen()) >= 10 * STREAM_SECONDS


def test_unknown_fields_of_a_configuration_are_kept() -> None:
    config = McpServerConfig.model_validate({"name": "n", "url": "https://example.com", "of_tomorrow": 1})
    assert config.model_dump(mode="json")["of_tomorrow"] == 1
