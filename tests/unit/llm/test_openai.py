"""Chat completions over real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from greenline.llm import endpoint
from greenline.llm.calls import TOO_DEEP, call_of
from greenline.llm.errors import ModelError
from greenline.llm.models import (
    FilePart,
    Message,
    ModelReply,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    TextPart,
    ToolCall,
    ToolSpec,
    Usage,
)
from greenline.llm.openai import ChatCompletions
from greenline.llm.sdk import Address, SdkClient
from greenline.llm.traits import Traits
from support.fake_llm import FakeLlm, Play, calls, chunk, fails, fake_llm, says, usage
from support.wait import eventually

HELLO = ModelRequest("gpt-4o", (Message("user", (TextPart("Hello"),)),))
WITHOUT_DELTA: dict[str, Any] = {**chunk(), "choices": [{"index": 0, "finish_reason": "stop"}]}
CALL = {"index": 0, "id": "a", "function": {"name": "find", "arguments": '{"na'}}
TOOL = ToolSpec("find", "Find a thing", {"type": "object", "properties": {"name": {"type": "string"}}})


@pytest.fixture
async def fake() -> AsyncIterator[FakeLlm]:
    async with fake_llm(says("Hi")) as server:
        yield server


@contextlib.asynccontextmanager
async def provider(fake: FakeLlm, *, traits: Traits | None = None, **more: Any) -> AsyncIterator[ChatCompletions]:
    client = SdkClient(Address(fake.url, "sk-secret-key"), seconds=5)
    made = ChatCompletions(client, traits=lambda _: traits or Traits(), **more)
    try:
        yield made
    finally:
        await made.aclose()


async def ask(fake: FakeLlm, request: ModelRequest = HELLO, **more: Any) -> ModelReply:
    async with provider(fake, **more) as model:
        events = [event async for event in model.stream(request, "model-there")]
    assert isinstance(events[-1], ModelReply)
    assert all(isinstance(event, TextDelta) for event in events[:-1])
    return events[-1]


async def error_of(fake: FakeLlm, request: ModelRequest = HELLO, **more: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await ask(fake, request, **more)
    return caught.value


async def test_text_comes_in_pieces_and_whole(fake: FakeLlm) -> None:
    fake.will(says("Good ", "morning"))
    async with provider(fake) as model:
        events = [event async for event in model.stream(HELLO, "m")]
    assert [event.text for event in events] == ["Good ", "morning", "Good morning"]
    reply = events[-1]
    assert isinstance(reply, ModelReply)
    assert reply.model == "gpt-4o"
    assert reply.usage == Usage(input=12, output=5, cache_read=8)
    assert 0 < reply.seconds_to_first_token <= reply.seconds


async def test_the_request_is_a_chat_completion(fake: FakeLlm) -> None:
    request = replace(
        HELLO,
        messages=(
            Message("system", (TextPart("Be kind."), TextPart("Be short."))),
            Message("user", (TextPart("Where?"),)),
            Message("assistant", (), (ToolCall("c1", "find", {"name": "shop"}),)),
            Message("tool", (TextPart("Main street"),), tool_call_id="c1"),
        ),
        tools=(TOOL,),
        temperature=0.0,
        max_tokens=50,
    )
    await ask(fake, request)
    (seen,) = fake.seen
    assert seen.path == "/v1/chat/completions"
    assert seen.headers["authorization"] == "Bearer sk-secret-key"
    assert seen.body["messages"] == [
        {"role": "system", "content": "Be kind.\nBe short."},
        {"role": "user", "content": "Where?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"name": "shop"}'}}
            ],
        },
        {"role": "tool", "content": "Main street", "tool_call_id": "c1"},
    ]
    assert seen.body["tools"][0]["function"]["name"] == "find"
    options = {key: seen.body.get(key) for key in ("model", "stream", "stream_options", "temperature", "max_tokens")}
    assert options == {
        "model": "model-there",
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.0,
        "max_tokens": 50,
    }
    assert "parallel_tool_calls" not in seen.body


async def test_options_follow_what_the_model_takes(fake: FakeLlm) -> None:
    request = replace(HELLO, tools=(TOOL,), temperature=0.3, max_tokens=9, parallel_tool_calls=False)
    traits = Traits(parallel_option=True, completion_tokens=True, sampling=False)
    await ask(fake, request, traits=traits)
    await ask(fake, replace(request, reasoning_effort="none"), traits=traits)
    first, second = (seen.body for seen in fake.seen)
    assert first["parallel_tool_calls"] is False
    assert first["max_completion_tokens"] == 9
    assert not {"max_tokens", "temperature", "reasoning_effort"} & first.keys()
    assert (second["reasoning_effort"], second["temperature"]) == ("none", 0.3)


async def test_the_extra_body_goes_out_under_its_name_only(fake: FakeLlm) -> None:
    request = replace(HELLO, extra_body={"customer": 7})
    await ask(fake, request)
    await ask(fake, request, extra_body_key="elevenlabs_extra_body")
    assert "customer" not in str(fake.seen[0].body)
    assert fake.seen[1].body["elevenlabs_extra_body"] == {"customer": 7}


async def test_files_go_whole_as_text_or_by_name(fake: FakeLlm) -> None:
    parts = (
        TextPart("Look"),
        FilePart("image/png", "a.png", b"\x89PNG"),
        FilePart("application/pdf", "b.pdf", b"%PDF"),
        FilePart("text/csv", "c.csv", b"x,y"),
        FilePart("audio/ogg", "d.ogg", b"Ogg"),
    )
    request = replace(HELLO, messages=(Message("user", parts),))
    await ask(fake, request, traits=Traits(images=True, documents=True))
    await ask(fake, request, traits=Traits(images=False))
    whole, named = (seen.body["messages"][0]["content"] for seen in fake.seen)
    assert [part["type"] for part in whole] == ["text", "image_url", "file", "text", "text"]
    assert whole[1]["image_url"]["url"] == "data:image/png;base64,iVBORw=="
    assert whole[2]["file"] == {"filename": "b.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}
    assert whole[3]["text"] == "File c.csv:\nx,y"
    assert isinstance(named, str)
    assert all(name in named for name in ("a.png", "b.pdf", "c.csv", "d.ogg"))


def with_image() -> ModelRequest:
    parts = (TextPart("Look"), FilePart("image/png", "a.png", b"\x89PNG"))
    return replace(HELLO, messages=(Message("user", parts),))


async def test_an_endpoint_that_refuses_files_is_asked_once_more_with_their_names(fake: FakeLlm) -> None:
    fake.will(fails(400, "image_url is not supported by this model"), says("A picture, I am told."))
    reply = await ask(fake, with_image())
    assert reply.text == "A picture, I am told."
    whole, named = (seen.body["messages"][0]["content"] for seen in fake.seen)
    assert whole[1]["type"] == "image_url"
    assert "a.png" in named


@pytest.mark.parametrize(
    ("request_", "play", "kind"),
    [
        (HELLO, fails(400, "no such parameter"), "bad_request"),
        (with_image(), fails(503, "busy"), "overloaded"),
        (with_image(), Play([chunk({"content": "A"}), "no JSON"]), "bad_request"),
    ],
)
async def test_nothing_else_is_asked_again_here(fake: FakeLlm, request_: ModelRequest, play: Play, kind: str) -> None:
    fake.will(play)
    assert (await error_of(fake, request_)).kind == kind
    assert len(fake.seen) == 1


async def test_what_no_text_can_hold_is_mended_where_it_comes_in(fake: FakeLlm) -> None:
    fake.will(Play([chunk({"content": piece}) for piece in ("a\ud83d", "\ude00b", "\ud83d", "c\x00", "\ude00")]))
    reply = await ask(fake)
    assert reply.text == "a\N{GRINNING FACE}b\ufffdc\ufffd\ufffd"


@pytest.mark.parametrize(
    ("arguments", "read"),
    [
        ('{"n": 9223372036854775807}', {"n": 2**63 - 1}),
        (
            '{"n": 9223372036854775808, "m": [-1e3, -99999999999999999999]}',
            {"n": str(2**63), "m": [-1000.0, "-" + "9" * 20]},
        ),
        ('{"n": %s}' % ("1" * 5000), {"n": "1" * 5000}),
        ('{"n": NaN, "\\ud800": "\\udc00"}', {"n": "NaN", "\ufffd": "\ufffd"}),
    ],
)
def test_arguments_that_nothing_else_can_hold_become_text(arguments: str, read: dict[str, Any]) -> None:
    assert call_of("a", "find", arguments) == ToolCall("a", "find", read)


@pytest.mark.parametrize("levels", [200, 240, 300, 900, 100_000])
def test_of_arguments_that_are_nested_too_deeply_the_model_is_told(levels: int) -> None:
    assert call_of("a", "find", '{"a":' * levels + "[1]" + "}" * levels) == ToolCall("a", "find", {}, TOO_DEEP)


def test_arguments_may_be_nested() -> None:
    call = call_of("a", "find", '{"a":' * 199 + "[1]" + "}" * 199)
    assert (call.fault, list(call.arguments)) == ("", ["a"])


async def test_calls_of_gemini_3_carry_a_signature(fake: FakeLlm) -> None:
    said = Message("assistant", (), (ToolCall("1", "a", {}), ToolCall("2", "b", {})))
    request = replace(HELLO, messages=(*HELLO.messages, said))
    await ask(fake, request, traits=Traits(signed_calls=True))
    first, second = fake.seen[0].body["messages"][1]["tool_calls"]
    assert first["extra_content"]["google"]["thought_signature"]
    assert "extra_content" not in second


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param(
            [
                {"index": 0, "id": "a", "type": "function", "function": {"name": "find", "arguments": ""}},
                {"index": 0, "function": {"arguments": '{"na'}},
                {"index": 1, "id": "b", "type": "function", "function": {"name": "stop", "arguments": ""}},
                {"index": 0, "function": {"arguments": 'me": "x"}'}},
            ],
            id="interleaved by index",
        ),
        pytest.param(
            [
                {"index": 0, "id": "a", "function": {"name": "find", "arguments": '{"name": "x"}'}},
                {"index": 0, "id": "b", "function": {"name": "stop", "arguments": "{}"}},
            ],
            id="all at index 0 with an id each",
        ),
        pytest.param(
            [
                {"id": "a", "function": {"name": "find", "arguments": '{"name": "x"}'}},
                {"id": "b", "function": {"name": "stop"}},
            ],
            id="without index",
        ),
    ],
)
async def test_calls_are_put_together(fake: FakeLlm, pieces: list[dict[str, Any]]) -> None:
    fake.will(calls(*pieces))
    reply = await ask(fake, replace(HELLO, tools=(TOOL,)))
    assert reply.tool_calls == (ToolCall("a", "find", {"name": "x"}), ToolCall("b", "stop", {}))
    assert reply.text == ""


async def test_a_call_is_a_sign_of_life_before_it_is_whole(fake: FakeLlm) -> None:
    events = [chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "find", "arguments": "{"}}]})]
    fake.will(Play([*events, usage()], hang_after=1))
    async with provider(fake) as model:
        stream = model.stream(HELLO, "m")
        assert await anext(stream) == TextDelta("")
        await stream.aclose()


async def test_thinking_is_told_and_is_no_text(fake: FakeLlm) -> None:
    fake.will(Play([chunk({"reasoning_content": "hm"}), chunk({"reasoning_content": "so"}), *says("Yes").events]))
    async with provider(fake) as model:
        events = [event async for event in model.stream(HELLO, "m")]
    assert events[:-1] == [ReasoningDelta("hm"), ReasoningDelta("so"), TextDelta("Yes")]
    assert events[-1].text == "Yes"


@pytest.mark.parametrize("arguments", ['{"name": ', "[1]", "null"])
async def test_arguments_that_are_no_object_are_an_empty_answer(fake: FakeLlm, arguments: str) -> None:
    fake.will(calls({"index": 0, "id": "a", "function": {"name": "find", "arguments": arguments}}))
    assert (await error_of(fake)).kind == "empty"


@pytest.mark.parametrize(
    ("play", "kind"),
    [
        (fails(401), "auth"),
        (fails(403), "auth"),
        (fails(400), "bad_request"),
        (fails(404), "bad_request"),
        (fails(408), "timeout"),
        (fails(429), "rate_limit"),
        (fails(500), "overloaded"),
        (fails(529), "overloaded"),
        (Play(status=502, body="<html>bad gateway</html>"), "overloaded"),
        (Play(status=400, body='[{"error": {"message": "no", "code": 400}}]'), "bad_request"),
        (Play(body="<html>a login page</html>"), "empty"),
        (Play([usage()]), "empty"),
        (says("  "), "empty"),
        (says("Good ", "morning", cut_after=2), "connection"),
        (Play([chunk({"content": "Good "})], end=None), "connection"),
        (Play([chunk({"tool_calls": [CALL]}), usage()], end=None), "connection"),
        (Play([chunk({"content": "a"}), {"error": {"message": "too busy", "code": 529}}]), "overloaded"),
        (Play(["{no json"]), "bad_request"),
        (Play([{"choices": [7]}]), "bad_request"),
        (Play([chunk({"refusal": "I can't help with that"}), chunk(finish="stop")]), "refused"),
        (Play([chunk({"content": "a"}), chunk(finish="content_filter")]), "refused"),
    ],
)
async def test_whatever_the_endpoint_does_wrong_is_a_model_error(fake: FakeLlm, play: Play, kind: str) -> None:
    fake.will(play)
    assert (await error_of(fake)).kind == kind
    assert len(fake.seen) == 1  # the SDK itself does not retry


@pytest.mark.parametrize(
    "play",
    [
        pytest.param(Play([chunk({"content": "Hi"})]), id="no finish_reason"),
        pytest.param(Play([chunk({"content": "Hi"}), chunk(finish="stop")], end=None), id="no [DONE]"),
        pytest.param(Play([chunk({"content": "Hi"}, "length")], end=None), id="with the last words"),
        pytest.param(says("Hi", cut_after=3), id="cut after the end"),
        pytest.param(says("Hi", hang_after=3), id="silent after the end"),
        pytest.param(Play([*says("Hi").events[:-1], {"error": {"message": "no"}}]), id="error after the end"),
        pytest.param(Play([chunk({"content": "Hi"}), WITHOUT_DELTA], end=None), id="without a delta"),
    ],
)
async def test_an_answer_has_ended_by_either_word_for_it(
    fake: FakeLlm, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "REST_SECONDS", 0.1)
    fake.will(play)
    reply = await ask(fake)
    assert (reply.text, reply.usage) == ("Hi", Usage())


async def test_an_endpoint_that_tells_of_an_end_with_each_piece_is_heard_to_the_last(
    fake: FakeLlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "REST_SECONDS", 0.0)
    fake.will(Play([chunk({"content": piece}, "stop") for piece in ("We ", "are ", "open.")]))
    assert (await ask(fake)).text == "We are open."
    fake.will(Play([chunk({"content": "We "}, "stop"), chunk({"content": "are "}, "stop")], cut_after=1))
    assert (await error_of(fake)).kind == "connection"


async def test_a_refused_connection_is_a_model_error() -> None:
    async with fake_llm(says("Hi")) as fake:
        pass
    assert (await error_of(fake)).kind == "connection"


async def test_secrets_are_kept_out_of_errors_and_reprs(fake: FakeLlm) -> None:
    fake.will(fails(401, "Incorrect API key provided: sk-secret-key, or gsk_abcdefghijkl"))
    text = str(await error_of(fake))
    assert "secret" not in text
    assert "abcdef" not in text
    assert "Incorrect API key" in text
    assert "secret" not in repr(Address(fake.url, "sk-secret-key", {"x-token": "secret"}))


async def test_cancelling_closes_the_connection_in_the_middle_of_an_answer(fake: FakeLlm) -> None:
    fake.will(says("one", "two", "three", hang_after=2))
    arrived = asyncio.Event()

    async def read() -> None:
        async with provider(fake) as model:
            async for _ in model.stream(HELLO, "m"):
                arrived.set()

    task = asyncio.create_task(read())
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(fake.seen[0].closed.is_set)


async def test_closing_the_stream_closes_the_connection(fake: FakeLlm) -> None:
    fake.will(says("one", "two", hang_after=2))
    async with provider(fake) as model:
        stream = model.stream(HELLO, "m")
        assert await anext(stream) == TextDelta("one")
        await stream.aclose()
        await eventually(fake.seen[0].closed.is_set)


async def test_what_the_environment_says_of_openai_stays_with_openai(
    fake: FakeLlm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-own: 1")
    model = ChatCompletions(SdkClient(Address(fake.url)))
    assert [event async for event in model.stream(HELLO, "m")]
    await model.aclose()
    headers = fake.seen[0].headers
    assert not {"authorization", "openai-organization", "openai-project", "x-own"} & headers.keys()


@pytest.mark.parametrize("bad", [{"api_key": "sk\n1"}, {"api_key": "schlüssel"}, {"headers": {"x": "a\r\nb: c"}}])
def test_an_address_that_http_can_not_carry_is_a_wrong_configuration(bad: dict[str, Any]) -> None:
    with pytest.raises(ModelError) as caught:
        Address("http://host/v1", **bad)
    assert caught.value.kind == "configuration"


def test_the_sdk_is_not_imported_with_the_server() -> None:
    check = "import sys, greenline.server; sys.exit('openai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], env=dict(os.environ), check=False).returncode == 0
