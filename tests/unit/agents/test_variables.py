from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenline.agents import variables
from greenline.agents.config import ConversationConfig
from greenline.agents.variables import MissingVariables, ReservedVariable, SecretVariable, placeholders, render

names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: not name.startswith("secret__"))
plain = st.text(alphabet=st.characters(exclude_characters="{}"), max_size=10)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hello {{name}}, order {{ order_id }}.", ("name", "order_id")),
        ("{{a}} {{b}} {{a}}", ("a", "b")),
        ("{name} {{}} {{1}} {{ two words }}", ()),
        ('{"json": {"nested": {"deep": 1}}}', ()),
        ('{{"json": 1}}', ()),
        ("{{größe}} {{system__time}} {{a.b-c}}", ("größe", "system__time", "a.b-c")),
        ("{{{name}}}", ("name",)),
        ("", ()),
    ],
)
def test_placeholders(text: str, found: tuple[str, ...]) -> None:
    assert placeholders(text) == found


@pytest.mark.parametrize(
    ("value", "text"),
    [("Ada", "Ada"), (3, "3"), (2.5, "2.5"), (True, "true"), (["a"], '["a"]'), ({"ä": 1}, '{"ä": 1}'), ("", "")],
)
def test_values_as_text(value: Any, text: str) -> None:
    assert render("<{{v}}>", {"v": value}) == f"<{text}>"


def test_a_value_is_never_filled_in_again() -> None:
    assert render("{{a}}", {"a": "{{b}} and {{system__time}}", "b": "x"}) == "{{b}} and {{system__time}}"


def test_an_error_names_every_missing_variable() -> None:
    with pytest.raises(MissingVariables) as error:
        render("{{a}} {{b}} {{c}} {{b}}", {"a": "x", "c": None})

    assert error.value.names == ("b", "c")
    assert error.value.detail()["status"] == "missing_dynamic_variable"
    assert "b, c" in error.value.message


def test_secrets_are_not_shown_to_a_model() -> None:
    with pytest.raises(SecretVariable):
        render("Use {{secret__token}}", {"secret__token": "x"})

    assert variables.shown({"a": 1, "secret__token": "x"}) == {"a": 1}


def test_system_names_are_the_servers() -> None:
    variables.check_given({"name": "Ada"})

    with pytest.raises(ReservedVariable, match="system__time"):
        variables.check_given({"name": "Ada", "system__time": "now"})


@given(st.lists(st.tuples(plain, names), max_size=5), plain)
def test_each_placeholder_becomes_its_value(parts: list[tuple[str, str]], tail: str) -> None:
    text = "".join(f"{before}{{{{{name}}}}}" for before, name in parts) + tail
    values = {name: f"<{name}>" for _, name in parts}

    assert render(text, values) == "".join(f"{before}<{name}>" for before, name in parts) + tail


@given(st.text())
def test_text_without_names_stays(text: str) -> None:
    if not placeholders(text):
        assert render(text, {}) == text


def agent_with(**agent: Any) -> ConversationConfig:
    return ConversationConfig.model_validate({"agent": agent})


TOOL = {
    "type": "webhook",
    "name": "order",
    "description": "d",
    "assignments": [{"dynamic_variable": "later", "value_path": "id"}],
    "api_schema": {
        "url": "https://shop.example/{id}",
        "path_params_schema": {"id": {"type": "string", "dynamic_variable": "order_id"}},
        "request_headers": {"Authorization": {"variable_name": "secret__token"}, "X": "{{literal}}"},
        "query_params_schema": {"properties": {"l": {"type": "string", "dynamic_variable": "later"}}},
    },
}


def test_a_start_must_bring_every_variable_that_is_used() -> None:
    config = agent_with(
        first_message="Hi {{name}}",
        prompt={"prompt": "{{name}} lives in {{city}}. {{system__time}}", "tools": [TOOL]},
    )

    assert variables.used(config) == ("name", "city", "system__time", "secret__token", "order_id", "later")
    with pytest.raises(MissingVariables) as error:
        variables.check_supplied(config, {"name": "Ada"})
    assert error.value.names == ("city", "secret__token", "order_id")

    variables.check_supplied(config, {"name": "Ada", "city": "Ulm", "secret__token": "t", "order_id": 7})


def test_placeholders_for_tests_do_not_fill_in_for_a_start() -> None:
    config = agent_with(
        first_message="Hi {{name}}", dynamic_variables={"dynamic_variable_placeholders": {"name": "Test"}}
    )

    with pytest.raises(MissingVariables):
        variables.check_supplied(config, {})


def test_headers_of_an_own_model_are_used_too() -> None:
    custom = {"url": "https://m.example", "request_headers": {"X-Token": {"variable_name": "secret__token"}}}
    with pytest.raises(variables.MissingVariables, match="secret__token"):
        variables.check_supplied(agent_with(prompt={"llm": "custom-llm", "custom_llm": custom}), {})
    variables.check_supplied(agent_with(prompt={"llm": "gpt-4o", "custom_llm": custom}), {})


@pytest.mark.parametrize("agent", [{"first_message": "{{secret__a}}"}, {"prompt": {"prompt": "{{secret__a}}"}}])
def test_a_text_with_a_secret_variable_can_not_begin(agent: dict[str, Any]) -> None:
    with pytest.raises(variables.SecretVariable, match="secret__a"):
        variables.check_supplied(agent_with(**agent), {"secret__a": "t"})
