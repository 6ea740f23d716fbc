"""The Responses API over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from greenline.llm.errors import ModelError
from greenline.llm.models import (
    FilePart,
    Message,
    ModelReply,
    ModelRequest,
    TextDelta,
    TextPart,
    ToolCall,
    ToolSpec,
    Usage,
)
from greenline.llm.responses import Responses
from greenline.llm.sdk import Address, SdkClient
from support.fake_llm import FakeLlm, Play, fails, fake_llm
from support.wait import eventually

HELLO = ModelRequest("custom-llm", (Message("user", (TextPart("Hello"),)),))
USAGE = {
    "input_tokens": 30,
    "input_tokens_details": {"cached_tokens": 10},
    "output_tokens": 4,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 34,
}


def delta(text: str) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "delta": text, "item_id": "m", "output_index": 0}


def done(kind: str = "completed", **more: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", "response": {"id": "r", "object": "response", "usage": USAGE, **more}}


def call(name: str, arguments: str) -> dict[str, Any]:
    item = {"type": "function_call", "id": "f", "call_id": f"call_{name}", "name": name, "arguments": arguments}
    return {"type": "response.output_item.done", "output_index": 0, "item": item}


@pytest.fixture
async def fake() -> AsyncIterator[FakeLlm]:
    async with fake_llm(Play([delta("Hi"), done()])) as server:
        yield server


@pytest.fixture
async def model(fake: FakeLlm) -> AsyncIterator[Responses]:
    made = Responses(SdkClient(Address(fake.url, "key-of-agent"), seconds=5), extra_body_key="elevenlabs_extra_body")
    yield made
    await made.aclose()


async def test_text_and_usage(fake: FakeLlm, model: Responses) -> None:
    fake.will(Play([delta("Good "), delta("morning"), done()]))
    events = [event async for event in model.stream(HELLO, "m")]
    assert [event.text for event in events] == ["Good ", "morning", "Good morning"]
    reply = events[-1]
    assert isinstance(reply, ModelReply)
    assert reply.usage == Usage(input=20, output=4, cache_read=10)


async def test_calls_come_after_a_sign_of_life(fake: FakeLlm, model: Responses) -> None:
    added = {"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call", "id": "f"}}
    fake.will(Play([added, call("find", '{"name": "x"}'), call("stop", ""), done()]))
    first, reply = [event async for event in model.stream(HELLO, "m")]
    assert first == TextDelta("")
    assert isinstance(reply, ModelReply)
    assert reply.tool_calls == (ToolCall("call_find", "find", {"name": "x"}), ToolCall("call_stop", "stop", {}))


async def test_the_request(fake: FakeLlm, model: Responses) -> None:
    request = replace(
        HELLO,
        messages=(
            Message("system", (TextPart("Be kind."),)),
            Message("user", (TextPart("Look"), FilePart("image/png", "a.png", b"x"))),
            Message("assistant", (TextPart("I look"),), (ToolCall("c1", "find", {"name": "shop"}),)),
            Message("tool", (TextPart("Main street"),), tool_call_id="c1"),
        ),
        tools=(ToolSpec("find", "Find a thing", {"type": "object", "properties": {}}),),
        max_tokens=50,
        reasoning_effort="low",
        parallel_tool_calls=False,
        extra_body={"customer": 7},
    )
    assert [event async for event in model.stream(request, "model-there")]
    (seen,) = fake.seen
    assert seen.path == "/v1/responses"
    assert seen.headers["authorization"] == "Bearer key-of-agent"
    assert seen.body["input"] == [
        {"role": "system", "content": "Be kind."},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Look"},
                {"type": "input_image", "image_url": "data:image/png;base64,eA==", "detail": "auto"},
            ],
        },
        {"role": "assistant", "content": "I look"},
        {"type": "function_call", "call_id": "c1", "name": "find", "arguments": '{"name": "shop"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "Main street"},
    ]
    assert seen.body["tools"][0]["name"] == "find"
    names = ("model", "store", "max_output_tokens", "reasoning", "parallel_tool_calls", "elevenlabs_extra_body")
    assert {name: seen.body.get(name) for name in names} == {
        "model": "model-there",
        "store": False,
        "max_output_tokens": 50,
        "reasoning": {"effort": "low"},
        "parallel_tool_calls": False,
        "elevenlabs_extra_body": {"customer": 7},
    }


@pytest.mark.parametrize(
    ("play", "kind"),
    [
        (fails(401), "auth"),
        (fails(500), "overloaded"),
        (Play([done()]), "empty"),
        (Play([delta("a"), done("failed", error={"code": "server_error", "message": "no"})]), "overloaded"),
        (Play([done("failed", error={"code": "rate_limit_exceeded", "message": "no"})]), "rate_limit"),
        (Play([done("failed", error={"code": "invalid_prompt", "message": "no"})]), "bad_request"),
        (Play([{"type": "error", "code": "server_error", "message": "no"}]), "overloaded"),
        (Play([{"type": "response.refusal.done", "refusal": "I can't"}, done()]), "refused"),
        (Play([call("find", "{no json"), done()]), "empty"),
        (Play([delta("a"), delta("b"), done()], cut_after=1), "connection"),
        (Play([delta("a")], end=None), "connection"),
    ],
)
async def test_whatever_goes_wrong_is_a_model_error(fake: FakeLlm, model: Responses, play: Play, kind: str) -> None:
    fake.will(play)
    with pytest.raises(ModelError) as caught:
        assert [event async for event in model.stream(HELLO, "m")]
    assert caught.value.kind == kind


@pytest.mark.parametrize("play", [Play([delta("Hi"), done("incomplete")], end=None), Play([delta("Hi")])])
async def test_an_answer_has_ended_by_either_word_for_it(fake: FakeLlm, model: Responses, play: Play) -> None:
    fake.will(play)
    reply = [event async for event in model.stream(HELLO, "m")][-1]
    assert isinstance(reply, ModelReply)
    assert reply.text == "Hi"


async def test_closing_the_stream_closes_the_connection(fake: FakeLlm, model: Responses) -> None:
    fake.will(Play([delta("one"), delta("two"), done()], hang_after=1))
    stream = model.stream(HELLO, "m")
    assert await anext(stream) == TextDelta("one")
    await stream.aclose()
    await eventually(fake.seen[0].closed.is_set)
