"""When a model may switch the language of a conversation, and to which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from greenline.agents.config import ConversationConfig
from greenline.conversations.events import AgentMessage, Event, ToolReturned, UserMessage
from greenline.engine.language import language_tools, switched_to
from greenline.tools.language import LanguageDetection
from greenline.tools.models import ToolContext, ToolResult

CONTEXT = ToolContext("conv_1", "key")
SWITCHED = ToolReturned(message_id="m", request_id="r", name="language_detection", language="de")


def said(count: int) -> list[Event]:
    """The person has spoken so often; each time in two messages."""
    turn: list[Event] = [
        UserMessage(id="u", text="Hi"),
        UserMessage(id="u", text="there"),
        UserMessage(id="u", text="mhm", is_sign=True),
    ]
    between: list[Event] = [AgentMessage(id="m", text=""), AgentMessage(id="m", text="Hello.")]
    return [event for _ in range(count - 1) for event in (*turn, *between)] + list(turn)


def tools(
    journal: list[Event], *, params: Mapping[str, Any] | None = None, **config: Any
) -> tuple[LanguageDetection, ...]:
    tool = {"params": {"system_tool_type": "language_detection", **(params or {})}}
    presets: dict[str, Any] = {"de": {"overrides": {}}, "pt-br": {"overrides": {}}}
    agent = {"prompt": {"built_in_tools": {"language_detection": tool}}}
    found = ConversationConfig.model_validate({"language_presets": presets, "agent": agent, **config})
    return language_tools(found, journal, {"shop": "Tea"})


async def run(journal: list[Event], language: str, **more: Any) -> ToolResult:
    [tool] = tools(journal, **more)
    return await tool.run({"reason": "They speak it.", "language": language}, CONTEXT)


def test_the_model_is_told_of_the_languages_that_there_are() -> None:
    [tool] = tools(said(1))
    spec = tool.spec
    assert spec.parameters["properties"]["language"]["enum"] == ["en", "de", "pt-br"]
    assert spec.parameters["required"] == ["reason", "language"]
    assert spec.description.endswith("The present language is en.")


@pytest.mark.parametrize(
    "config", [{"language_presets": {}}, {"language_presets": {"en": {"overrides": {}}}}, {"agent": {}}]
)
def test_without_the_tool_or_another_language_there_is_none(config: dict[str, Any]) -> None:
    assert tools(said(1), **config) == ()


def test_a_language_whose_prompt_lacks_a_variable_is_none_to_switch_to() -> None:
    prompts = {"de": "Sei {{mood}}", "fr": "Chez {{shop}}"}
    presets = {code: {"overrides": {"agent": {"prompt": {"prompt": text}}}} for code, text in prompts.items()}
    [tool] = tools(said(1), language_presets=presets)
    assert tool.languages == ("en", "fr")


@pytest.mark.parametrize(("written", "language"), [("de", "de"), ("DE", "de"), ("de-AT", "de"), ("pt_BR", "pt-br")])
async def test_a_language_is_known_however_models_write_it(written: str, language: str) -> None:
    result = await run(said(1), written)
    assert (result.language, result.is_error, result.ends) == (language, False, None)
    assert language in result.text


@pytest.mark.parametrize("written", ["fr", "", "German"])
async def test_what_is_no_language_of_the_agent_changes_nothing(written: str) -> None:
    result = await run(said(1), written)
    assert (result.language, result.error_type) == ("", "invalid_arguments")
    assert "en, de, pt-br" in result.text


async def test_the_language_that_is_spoken_already_is_no_switch() -> None:
    result = await run(said(1), "en")
    assert (result.language, result.is_error) == ("", False)


@pytest.mark.parametrize(
    ("journal", "may"),
    [(said(1), True), (said(2), True), (said(3), False), ([*said(1), SWITCHED, *said(5)], True)],
)
async def test_an_agent_may_only_switch_early(journal: list[Event], may: bool) -> None:
    result = await run(journal, "de", params={"only_at_conversation_start": True})
    assert (result.language, result.error_type) == (("de", "") if may else ("", "too_late"))
    assert (await run(journal, "de")).language == "de"


def test_the_last_switch_counts() -> None:
    back = SWITCHED.model_copy(update={"language": "en"})
    assert switched_to(said(3)) is None
    assert switched_to([*said(1), SWITCHED, *said(2)]) == "de"
    assert switched_to([*said(1), SWITCHED, *said(2), back, SWITCHED.model_copy(update={"language": ""})]) == "en"
