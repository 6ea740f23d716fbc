"""The tool with which an agent ends a call that a machine has answered."""

from __future__ import annotations

from typing import Any

import pytest

from greenline.agents.config import ConversationConfig
from greenline.channels.live.voicemail_tool import VoicemailDetection, voicemail_tool
from greenline.tools.models import Text, ToolContext

CONTEXT = ToolContext("conv_1", "msg_1:call_1", {"order": "A17"})


def tool(told: list[bool], params: dict[str, Any] | None = None, **variables: Any) -> VoicemailDetection:
    built_in = {"voicemail_detection": {"params": params or {}}}
    config = ConversationConfig.model_validate({"agent": {"prompt": {"built_in_tools": built_in}}})
    [found] = voicemail_tool(config, variables, lambda: told.append(True))
    return found


async def test_it_leaves_its_message_into_which_nobody_cuts_and_hangs_up() -> None:
    told: list[bool] = []
    message = "Hello {{name}}, your order {{order}} is here."
    result = await tool(told, {"voicemail_message": message}, name="Ann").run({"reason": "a beep"}, CONTEXT)
    assert result.say == (Text("Hello Ann, your order A17 is here."),)
    assert (result.ends, result.reason, result.uninterrupted, told) == ("conversation", "a beep", True, [True])


@pytest.mark.parametrize("params", [{}, {"voicemail_message": ""}, {"voicemail_message": None}])
async def test_without_a_message_it_hangs_up_at_once(params: dict[str, Any]) -> None:
    result = await tool([], params).run({}, CONTEXT)
    assert (result.say, result.ends, result.reason) == ((), "conversation", "voicemail")


async def test_a_message_that_lacks_a_variable_is_not_left_and_the_transcript_tells_why() -> None:
    result = await tool([], {"voicemail_message": "Hello {{name}}"}).run({}, CONTEXT)
    assert (result.say, result.ends) == ((), "conversation")
    assert "No message was left. Missing required dynamic variables: name" in result.text


def test_only_an_agent_that_has_it_gets_it() -> None:
    assert voicemail_tool(ConversationConfig(), {}, lambda: None) == ()
    assert tool([]).spec.parameters["required"] == ["reason"]
