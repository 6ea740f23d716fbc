"""Dynamic variables that tools set, and those that nobody brought: seen before anything begins."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from greenline.agents.variables import MissingVariables
from greenline.channels.live.models import ClientToolCall, ResponseComplete, SessionEnded, ToolResponse
from greenline.conversations.events import ToolReturned
from greenline.conversations.tool_calls import REDACTED
from greenline.llm.models import ModelReply, ModelRequest, ToolCall
from greenline.tools.assignments import HIDDEN
from support.live import Opens, told_of

LOOK_UP = {
    "type": "client",
    "name": "look_up",
    "description": "Looks a customer up.",
    "expects_response": True,
    "assignments": [
        {"dynamic_variable": "customer", "value_path": "found.0.name"},
        {"dynamic_variable": "token", "value_path": "token", "sanitize": True},
        {"dynamic_variable": "nothing", "value_path": "found.7"},
    ],
}
ORDER = {
    "type": "client",
    "name": "order",
    "description": "Orders tea.",
    "parameters": {
        "properties": {
            "for_whom": {"type": "string", "dynamic_variable": "customer"},
            "token": {"type": "string", "dynamic_variable": "token"},
        }
    },
}


def config(
    first_message: str = "Hello!", prompt: str = "You sell tea to {{customer}}.", **more: Any
) -> dict[str, Any]:
    return {
        "agent": {"first_message": first_message, "prompt": {"prompt": prompt, "tools": [LOOK_UP, ORDER], **more}}
    }


@pytest.mark.parametrize(
    ("first_message", "prompt", "missing"),
    [
        ("Welcome to {{system__env_town}}!", "x", "system__env_town"),
        ("Hello {{customer}}!", "x", "customer"),
        ("Hello!", "We are in {{system__env_town}}.", "system__env_town"),
    ],
)
async def test_what_can_come_from_nowhere_is_missed_before_the_conversation_begins(
    opens: Opens, first_message: str, prompt: str, missing: str
) -> None:
    async with opens(config(first_message, prompt)) as live:
        with pytest.raises(MissingVariables) as refused:
            await live.begin()
        assert refused.value.names == (missing,)
        with pytest.raises(MissingVariables):  # a call is rejected before it rings out
            await live.live.check(await live.beginning())
        assert await live.pool.fetchval("select count(*) from conversation") == 0


async def test_an_answer_sets_variables_for_the_tools_and_the_prompt_that_follow(opens: Opens) -> None:
    def say(request: ModelRequest) -> ModelReply | str:
        results = [message for message in request.messages if message.role == "tool"]
        if len(results) >= 2 or request.messages[-1].text == "Thanks":
            return "Done."
        name = ("look_up", "order")[len(results)]
        return ModelReply("m", "", (ToolCall(f"call_{name}", name, {}),))

    async with opens(config(first_message="")) as live:
        live.model.say = say
        session, told = await live.begin()
        session.user_message("Order for me, please.")
        await told_of(told, ClientToolCall)
        answer = {"found": [{"name": "Ann"}], "token": "t-123"}
        session.tool_result("call_look_up", json.dumps(answer), is_error=False)
        (_, ordered) = await told_of(told, ClientToolCall, 2)
        assert ordered.parameters == {"for_whom": "Ann", "token": "t-123"}
        await told_of(told, ResponseComplete)
        session.user_message("Thanks")
        await told_of(told, ResponseComplete, 2)

        prompts = [request.messages[0].text.split(".")[0] for request in live.model.requests]
        assert prompts == ["You sell tea to "] * 3 + ["You sell tea to Ann"]
        seen = {"found": [{"name": "Ann"}], "token": HIDDEN}
        assert json.loads(live.model.requests[1].messages[-1].text) == seen
        (response, _) = [event for event in told if isinstance(event, ToolResponse)]
        assert json.loads(response.result) == seen
        returned = [event for event in await live.journal(session) if isinstance(event, ToolReturned)]
        assert [one.name for one in returned[0].assigned] == ["customer", "token"]

        results = [result for turn in await live.transcript(session) for result in turn.tool_results]
        assert json.loads(results[0].result_value) == seen
        updates = results[0].dynamic_variable_updates
        assert [(one.variable_name, one.old_value, one.new_value) for one in updates] == [
            ("customer", None, "Ann"),
            ("token", None, REDACTED),
        ]
        assert {(one.tool_name, one.tool_request_id) for one in updates} == {("look_up", "call_look_up")}
        assert "t-123" not in "".join(turn.model_dump_json() for turn in await live.transcript(session))
        session.end("Bye")
        await asyncio.gather(*live.tasks)


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(
    "answer",
    ["[" * 100_000, f'{{"n": {2**70}}}', r'{"n": "\ud800\u0000"}', f'{{"n": {"[" * 300}{"]" * 300}}}'],
    ids=["without end", "integer", "surrogate", "deep"],
)
async def test_no_answer_of_a_client_ends_the_conversation(opens: Opens, answer: str, native: bool) -> None:
    def say(request: ModelRequest) -> ModelReply | str:
        asked = request.messages[-1].role == "user"
        return ModelReply("m", "", (ToolCall("call_1", "look_up", {}),)) if asked else "Found."

    path = {"dynamic_variable": "n", "value_path": "n", "preserve_native_type": native, "sanitize": True}
    tool = {**LOOK_UP, "assignments": [path]}
    async with opens({"agent": {"prompt": {"prompt": "You sell tea.", "tools": [tool]}}}) as live:
        live.model.say = say
        session, told = await live.begin()
        session.user_message("Who am I?")
        await told_of(told, ClientToolCall)
        session.tool_result("call_1", answer, is_error=False)
        await told_of(told, ResponseComplete)
        assert not session.over
        session.end("Bye")
        await asyncio.gather(*live.tasks)
        assert [event for event in await live.journal(session) if isinstance(event, ToolReturned)]
        (ended,) = [event for event in told if isinstance(event, SessionEnded)]
        assert ended.reason == "Bye"
