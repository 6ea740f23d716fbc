from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from greenline.agents.config.tool_common import DynamicVariableAssignment
from greenline.text import MOST_LEVELS
from greenline.tools.assignments import HIDDEN, assign
from greenline.tools.models import ToolResult

ANSWER = {"data": {"items": [{"id": 7, "open": True}, {"id": 8}], "note": None}, "token": "t-1", "0": "zero"}


def assignment(path: str, variable: str = "x", **more: Any) -> DynamicVariableAssignment:
    return DynamicVariableAssignment(dynamic_variable=variable, value_path=path, **more)


def values(result: ToolResult) -> dict[str, Any]:
    return {one.name: one.value for one in result.assigned}


@pytest.mark.parametrize(
    ("path", "as_text", "native"),
    [
        ("token", "t-1", "t-1"),
        ("data.items.0.id", "7", 7),
        ("data.items.0.open", "true", True),
        ("data.items.1", '{"id": 8}', {"id": 8}),
        ("data.items", '[{"id": 7, "open": true}, {"id": 8}]', [{"id": 7, "open": True}, {"id": 8}]),
        ("0", "zero", "zero"),
    ],
)
def test_a_path_leads_to_a_value_which_is_text_unless_its_type_is_kept(path: str, as_text: str, native: Any) -> None:
    result = ToolResult(json.dumps(ANSWER))
    assert values(assign(result, [assignment(path)])) == {"x": as_text}
    assert values(assign(result, [assignment(path, preserve_native_type=True)])) == {"x": native}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "nothing",
        "data.items.2.id",
        "data.items." + "1" * 5_000,
        "data.items.-1.id",
        "data.items.first",
        "token.0",
        "data.note",
        "$.token",
    ],
)
def test_a_path_that_leads_nowhere_sets_nothing(path: str) -> None:
    result = ToolResult(json.dumps(ANSWER))
    assert assign(result, [assignment(path, sanitize=True)]) == result


@pytest.mark.parametrize("text", ["The client was told.", "", "{", "null", "7"])
def test_an_answer_without_parts_sets_nothing(text: str) -> None:
    assert assign(ToolResult(text), [assignment("token")]) == ToolResult(text)


def test_an_error_sets_nothing() -> None:
    failed = ToolResult(json.dumps(ANSWER), is_error=True)
    assert assign(failed, [assignment("token")]) == failed


@pytest.mark.parametrize("name", ["system__time", "secret__token"])
def test_what_is_the_servers_or_a_secret_is_set_by_no_tool(name: str) -> None:
    assert assign(ToolResult(json.dumps(ANSWER)), [assignment("token", name)]).assigned == ()


def test_what_is_sanitized_is_set_and_not_seen() -> None:
    result = assign(
        ToolResult(json.dumps(ANSWER)),
        [
            assignment("data", "all"),
            assignment("token", "token", sanitize=True),
            assignment("data.items.1.id", "second", sanitize=True),
        ],
    )
    assert {one.name: one.is_hidden for one in result.assigned} == {"all": False, "token": True, "second": True}
    assert values(result)["token"] == "t-1"
    seen = json.loads(result.text)
    assert seen["token"] == HIDDEN
    assert seen["data"]["items"] == [{"id": 7, "open": True}, {"id": HIDDEN}]


def test_hiding_the_whole_and_a_part_of_it_hides_both() -> None:
    both = [assignment("data", "data", sanitize=True), assignment("data.items.0.id", "id", sanitize=True)]
    for order in (both, both[::-1]):
        result = assign(ToolResult(json.dumps(ANSWER)), order)
        assert json.loads(result.text)["data"] == HIDDEN
        assert values(result)["id"] == "7"


def test_paths_lead_into_the_data_of_an_answer_where_it_comes_apart_from_the_words() -> None:
    data = {"price": 7}
    assert values(assign(ToolResult("Seven euros."), [assignment("price")], data)) == {"x": "7"}
    hidden = assign(ToolResult("Seven euros."), [assignment("price", sanitize=True)], data)
    assert json.loads(hidden.text) == {"price": HIDDEN}
    assert data == {"price": 7}


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize("levels", [MOST_LEVELS, 1_000, 100_000])
def test_what_is_nested_without_end_sets_nothing(levels: int) -> None:
    result = ToolResult(f'{{"deep": {nested(levels)}, "token": "t-1"}}')
    assert assign(result, []) == result
    assert assign(result, [assignment("deep", preserve_native_type=True, sanitize=True)]) == result


def test_data_that_is_nested_without_end_sets_nothing() -> None:
    data = orjson.loads(f'{{"deep": {nested(1_000)}}}')
    result = ToolResult("Deep.")
    assert assign(result, [assignment("deep", preserve_native_type=True)], data) == result


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (str(2**63 - 1), 2**63 - 1),
        (str(2**64), str(2**64)),
        (f'{{"n": [-{2**70}]}}', {"n": [str(-(2**70))]}),
        ("1" * 5_000, "1" * 5_000),
        ("NaN", "NaN"),
        (r'"a\ud800b\u0000"', "a\ufffdb\ufffd"),
        (r'{"\udfff": 1}', {"\ufffd": 1}),
        (nested(MOST_LEVELS - 1), json.loads(nested(MOST_LEVELS - 1))),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_no_journal_holds_is_set_as_text_that_it_does(value: str, kept: Any) -> None:
    result = ToolResult(f'{{"value": {value}, "token": "t-1"}}')
    hidden = assign(
        result, [assignment("value", preserve_native_type=True), assignment("token", "token", sanitize=True)]
    )
    assert values(hidden) == {"x": kept, "token": "t-1"}
    assert orjson.loads(orjson.dumps([[[[values(hidden), hidden.text]]]]))[0][0][0][1] == hidden.text
