from __future__ import annotations

from typing import Any

import pytest

from greenline.agents.config import ConversationConfig
from greenline.agents.config.tools import ClientTool
from greenline.tools.manners import Manners, manners, manners_of, words_before
from greenline.tools.system import system_tools


def client_tool(**settings: Any) -> ClientTool:
    return ClientTool.model_validate({"type": "client", "name": "look", "description": "Looks.", **settings})


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, Manners()),
        ({"disable_interruptions": True}, Manners(shields="tool")),
        ({"interruption_mode": "disable_during_tool"}, Manners(shields="tool")),
        (
            {"interruption_mode": "disable_during_tool_and_turn", "disable_interruptions": True},
            Manners(shields="turn"),
        ),
        ({"force_pre_tool_speech": True}, Manners(words="force")),
        ({"force_pre_tool_speech": True, "pre_tool_speech": "off"}, Manners(words="off")),
        ({"tool_call_sound": "typing"}, Manners(sound="typing")),
        ({"tool_call_sound": "off"}, Manners()),
        (
            {"tool_call_sound": "typing", "tool_call_sound_behavior": "always"},
            Manners(sound="typing", always_sounds=True),
        ),
    ],
    ids=str,
)
def test_settings_and_their_older_forms(settings: dict[str, Any], expected: Manners) -> None:
    assert manners(client_tool(**settings)) == expected


def test_built_in_tools_have_theirs_by_their_names() -> None:
    tools = {"end_call": {"interruption_mode": "disable_during_tool_and_turn"}, "skip_turn": {}}
    config = ConversationConfig.model_validate({"agent": {"prompt": {"built_in_tools": tools}}})
    built_in = config.agent.prompt.built_in_tools
    found = system_tools(built_in.model_dump(), interactive=False)
    assert {tool.name: manners_of(tool, built_in.enabled()).shields for tool in found} == {
        "end_call": "turn",
        "skip_turn": None,
    }
    assert [manners_of(tool) for tool in found] == [Manners(), Manners()]


def test_a_model_is_told_of_all_tools_at_once() -> None:
    forced, off = Manners(words="force"), Manners(words="off")
    assert words_before({}) == words_before({"a": Manners()}) == ""
    assert words_before({"a": forced, "b": off, "c": forced, "d": Manners()}) == (
        "Before you call a, c, say in one short sentence what you are about to do. Call b without a word before it."
    )
