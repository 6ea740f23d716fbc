"""Documents reach the models of Anthropic and Gemini by the vendors' own APIs, over real HTTP."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from greenline.llm import anthropic, gemini
from greenline.llm.catalog import Catalog
from greenline.llm.documents import OwnApi, ReadsDocuments
from greenline.llm.errors import ModelError
from greenline.llm.factory import Endpoints
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
from greenline.llm.traits import DEFAULT, NO_SIGNATURE, Traits
from greenline.settings import Settings
from support.fake_llm import FakeLlm, Json, Play, claude_says, claude_text, fails, fake_llm, gemini_says, says

PDF = FilePart("application/pdf", "bill.pdf", b"%PDF")
BILL = ModelRequest("claude-sonnet-5", (Message("user", (TextPart("What do I owe?"), PDF)),))
HELLO = ModelRequest("claude-sonnet-5", (Message("user", (TextPart("Hello"),)),))
TOOL = ToolSpec("find", "Find a thing", {"type": "object", "properties": {"name": {"type": "string"}}})


def claude_at(fake: FakeLlm, traits: Traits = DEFAULT) -> anthropic.AnthropicMessages:
    client = SdkClient(anthropic.address("sk-ant-secret", fake.url), seconds=5)
    return anthropic.AnthropicMessages(client, traits=lambda _: traits)


def gemini_at(fake: FakeLlm, traits: Traits = DEFAULT) -> gemini.GeminiContents:
    return gemini.GeminiContents(
        SdkClient(gemini.address("AIzaSecret", fake.url), seconds=5), traits=lambda _: traits
    )


@pytest.fixture
async def fake() -> AsyncIterator[FakeLlm]:
    async with fake_llm(says("unasked")) as server:
        yield server


async def ask(model: OwnApi | ReadsDocuments, request: ModelRequest = BILL, name: str = "m") -> list[Any]:
    async with contextlib.aclosing(model):
        return [event async for event in model.stream(request, name)]


def dialogue(*more: Message) -> ModelRequest:
    """All that a dialogue can hold, in the order in which a journal can have it."""
    messages = (
        Message("system", (TextPart("Be kind."), TextPart("Be short."))),
        Message("assistant", (TextPart("Welcome!"),)),
        Message(
            "user",
            (TextPart("Where?"), PDF, FilePart("image/png", "a.png", b"x"), FilePart("text/csv", "c.csv", b"x,y")),
        ),
        Message("assistant", (), (ToolCall("same", "find", {"name": "shop"}), ToolCall("other", "stop", {}))),
        Message("system", (TextPart("It is late."),)),
        Message("tool", (TextPart("Main street"),), tool_call_id="same"),
        Message("assistant", (TextPart("There."),), (ToolCall("same", "find", {}),)),
        Message("tool", (), tool_call_id="same"),
        Message("user", (TextPart(" \n"),)),
        *more,
    )
    return replace(BILL, messages=messages, tools=(TOOL,), temperature=1.5, parallel_tool_calls=False)


CSV = "File c.csv:\nx,y"


async def test_the_request_of_anthropics_api(fake: FakeLlm) -> None:
    fake.will(claude_says(claude_text("Hi")))
    await ask(claude_at(fake), dialogue(Message("user", (TextPart("Thanks"),))), "claude-there")
    (seen,) = fake.seen
    assert seen.path == "/v1/messages"
    assert (seen.headers["x-api-key"], seen.headers["anthropic-version"]) == ("sk-ant-secret", "2023-06-01")
    assert "authorization" not in seen.headers
    assert seen.body == {
        "model": "claude-there",
        "max_tokens": 4096,
        "stream": True,
        "system": "Be kind.\nBe short.",
        "temperature": 1.0,
        "tools": [{"name": "find", "description": "Find a thing", "input_schema": dict(TOOL.parameters)}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "(The conversation begins.)"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "Welcome!"}]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Where?"},
                    {
                        "type": "document",
                        "title": "bill.pdf",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
                    },
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "eA=="}},
                    {"type": "text", "text": CSV},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": "call_0", "name": "find", "input": {"name": "shop"}},
                    {"type": "tool_use", "id": "call_1", "name": "stop", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call_0", "content": "Main street"},
                    {"type": "tool_result", "tool_use_id": "call_1", "content": "There is no result."},
                    {"type": "text", "text": "It is late."},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "There."},
                    {"type": "tool_use", "id": "call_2", "name": "find", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call_2", "content": "There is no result."},
                    {"type": "text", "text": "Thanks"},
                ],
            },
        ],
    }


async def test_claudes_that_think_have_room_for_it_and_no_temperature(fake: FakeLlm) -> None:
    fake.will(claude_says(claude_text("Hi")))
    await ask(claude_at(fake, Traits(sampling=False)), replace(BILL, temperature=0.3))
    await ask(claude_at(fake, Traits(sampling=False)), replace(BILL, max_tokens=70))
    first, second = (seen.body for seen in fake.seen)
    assert "temperature" not in first
    assert (first["max_tokens"], second["max_tokens"]) == (16_000, 70)


async def test_an_answer_of_claude_says(fake: FakeLlm) -> None:
    thought: Json = {"type": "thinking", "thinking": "", "deltas": [{"type": "thinking_delta", "thinking": "Hm."}]}
    pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in ("", '{"na', 'me": "x"}')]
    call: Json = {"type": "tool_use", "id": "toolu_1", "name": "find", "input": {}, "deltas": pieces}
    fake.will(claude_says(thought, claude_text("You owe ", "9 EUR."), call, stop="tool_use"))
    *deltas, reply = await ask(claude_at(fake))
    assert [delta for delta in deltas if delta.text] == [
        ReasoningDelta("Hm."),
        TextDelta("You owe "),
        TextDelta("9 EUR."),
    ]
    assert isinstance(reply, ModelReply)
    assert (reply.model, reply.text) == ("claude-sonnet-5", "You owe 9 EUR.")
    assert reply.tool_calls == (ToolCall("toolu_1", "find", {"name": "x"}),)
    assert reply.usage == Usage(input=12, output=5, cache_read=8, cache_write=3)


async def test_the_request_of_geminis_api(fake: FakeLlm) -> None:
    fake.will(gemini_says({"text": "Hi"}))
    request = replace(dialogue(Message("user", (TextPart("Thanks"),))), max_tokens=70, reasoning_effort="low")
    await ask(gemini_at(fake, Traits(signed_calls=True)), request, "gemini-3.8-flash")
    (seen,) = fake.seen
    assert seen.path == "/v1/models/gemini-3.8-flash:streamGenerateContent?alt=sse"
    assert seen.headers["x-goog-api-key"] == "AIzaSecret"
    assert "authorization" not in seen.headers
    declaration = {"name": "find", "description": "Find a thing", "parametersJsonSchema": dict(TOOL.parameters)}
    assert seen.body == {
        "systemInstruction": {"parts": [{"text": "Be kind.\nBe short."}]},
        "generationConfig": {
            "temperature": 1.5,
            "maxOutputTokens": 70,
            "thinkingConfig": {"thinkingLevel": "low"},
        },
        "tools": [{"functionDeclarations": [declaration]}],
        "contents": [
            {"role": "user", "parts": [{"text": "(The conversation begins.)"}]},
            {"role": "model", "parts": [{"text": "Welcome!"}]},
            {
                "role": "user",
                "parts": [
                    {"text": "Where?"},
                    {"text": "File bill.pdf:"},
                    {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
                    {"text": "File a.png:"},
                    {"inlineData": {"mimeType": "image/png", "data": "eA=="}},
                    {"text": CSV},
                ],
            },
            {
                "role": "model",
                "parts": [
                    {"functionCall": {"name": "find", "args": {"name": "shop"}}, "thoughtSignature": NO_SIGNATURE},
                    {"functionCall": {"name": "stop", "args": {}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "find", "response": {"result": "Main street"}}},
                    {"functionResponse": {"name": "stop", "response": {"result": "There is no result."}}},
                ],
            },
            {"role": "user", "parts": [{"text": "It is late."}]},
            {
                "role": "model",
                "parts": [
                    {"text": "There."},
                    {"functionCall": {"name": "find", "args": {}}, "thoughtSignature": NO_SIGNATURE},
                ],
            },
            {
                "role": "user",
                "parts": [{"functionResponse": {"name": "find", "response": {"result": "There is no result."}}}],
            },
            {"role": "user", "parts": [{"text": "Thanks"}]},
        ],
    }


@pytest.mark.parametrize(
    ("name", "effort", "thinking"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-flash", "high", {"thinkingBudget": 24_576}),
        ("gemini-2.5-flash", None, None),
        ("gemini-4-argon", "high", {"thinkingLevel": "high"}),
        ("gemini-4-argon", "none", None),
    ],
)
async def test_how_much_gemini_thinks(
    fake: FakeLlm, name: str, effort: str | None, thinking: dict[str, Any] | None
) -> None:
    fake.will(gemini_says({"text": "Hi"}))
    await ask(gemini_at(fake), replace(BILL, reasoning_effort=effort), name)
    assert fake.seen[0].body["generationConfig"].get("thinkingConfig") == thinking


async def test_an_answer_of_gemini(fake: FakeLlm) -> None:
    call = {"functionCall": {"name": "find", "args": {"n": 2**70}}, "thoughtSignature": "s"}
    fake.will(gemini_says({"text": "Hm.", "thought": True}, {"text": "You owe "}, {"text": "9 EUR."}, call))
    *deltas, reply = await ask(gemini_at(fake))
    assert deltas == [ReasoningDelta("Hm."), TextDelta("You owe "), TextDelta("9 EUR."), TextDelta("")]
    assert isinstance(reply, ModelReply)
    assert (reply.text, reply.usage) == ("You owe 9 EUR.", Usage(input=12, output=5, cache_read=8))
    assert reply.tool_calls == (ToolCall("call_0", "find", {"n": str(2**70)}),)


@pytest.mark.parametrize(
    ("make", "play", "kind"),
    [
        (claude_at, fails(401, "invalid x-api-key sk-ant-secret"), "auth"),
        (claude_at, fails(529, "Overloaded"), "overloaded"),
        (
            claude_at,
            Play([{"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}]),
            "overloaded",
        ),
        (claude_at, claude_says(claude_text("No"), stop="refusal"), "refused"),
        (claude_at, claude_says(), "empty"),
        (claude_at, Play([{"type": "content_block_start"}]), "bad_request"),
        (claude_at, Play(claude_says(claude_text("Well")).events[:-2], end=None), "connection"),
        (gemini_at, fails(403, "key AIzaSecret"), "auth"),
        (gemini_at, Play(status=400, body=[{"error": {"message": "no such model"}}]), "bad_request"),
        (gemini_at, gemini_says({"text": "Well"}, finish="SAFETY"), "refused"),
        (gemini_at, Play([{"promptFeedback": {"blockReason": "OTHER"}}], end=None), "refused"),
        (gemini_at, gemini_says(), "empty"),
        (gemini_at, Play(["7"], end=None), "bad_request"),
        (gemini_at, Play(gemini_says({"text": "Well"}).events[:-1], end=None), "connection"),
    ],
)
async def test_failures_are_told_by_kind_and_without_the_key(
    fake: FakeLlm, make: Callable[[FakeLlm], OwnApi], play: Play, kind: str
) -> None:
    fake.will(play)
    with pytest.raises(ModelError) as caught:
        await ask(make(fake))
    assert caught.value.kind == kind
    assert "ecret" not in str(caught.value)


@pytest.fixture
async def reader(fake: FakeLlm) -> AsyncIterator[tuple[ReadsDocuments, FakeLlm]]:
    """Claude, with chat completions at ``fake`` and the own API at a server of its own."""
    async with fake_llm(claude_says(claude_text("You owe 9 EUR."))) as own:
        yield ReadsDocuments(ChatCompletions(SdkClient(Address(fake.url, "k"), seconds=5)), claude_at(own)), own


async def test_only_documents_go_to_the_own_api(fake: FakeLlm, reader: tuple[ReadsDocuments, FakeLlm]) -> None:
    model, own = reader
    picture = replace(HELLO, messages=(Message("user", (FilePart("image/png", "a.png", b"x"),)),))
    fake.will(says("Hi"))
    async with contextlib.aclosing(model):
        for request in (HELLO, picture, BILL):
            assert [event async for event in model.stream(request, "m")]
    assert [seen.path for seen in fake.seen] == ["/v1/chat/completions"] * 2
    assert [seen.path for seen in own.seen] == ["/v1/messages"]


async def test_a_document_that_is_refused_is_named(fake: FakeLlm, reader: tuple[ReadsDocuments, FakeLlm]) -> None:
    model, own = reader
    own.will(fails(413, "request_too_large"))
    fake.will(says("I can't open it."))
    *_, reply = await ask(model)
    assert reply.text == "I can't open it."
    assert "bill.pdf" in fake.seen[0].body["messages"][0]["content"]


async def test_an_own_api_that_is_busy_is_not_gone_round(
    fake: FakeLlm, reader: tuple[ReadsDocuments, FakeLlm]
) -> None:
    model, own = reader
    own.will(fails(529, "Overloaded"))
    with pytest.raises(ModelError, match="overloaded"):
        await ask(model)
    assert fake.seen == []


@pytest.mark.parametrize(
    ("name", "settings", "at"),
    [
        ("claude-sonnet-5", {}, "<AnthropicMessages https://api.anthropic.com/v1/>"),
        ("gemini-2.5-flash", {}, "<GeminiContents https://generativelanguage.googleapis.com/v1beta/>"),
        ("gpt-4o", {}, None),
        ("claude-sonnet-5", {"llm_base_urls": {"anthropic": "http://gateway/v1"}}, None),
    ],
)
async def test_who_reads_documents_by_an_own_api(name: str, settings: dict[str, Any], at: str | None) -> None:
    keys = {"ANTHROPIC_API_KEY": "k", "GEMINI_API_KEY": "k", "OPENAI_API_KEY": "k"}
    endpoints = Endpoints(Catalog.of(Settings(**settings), keys), httpx2.AsyncClient(), seconds=5)
    provider = endpoints.resolve(name, HELLO).provider
    assert isinstance(provider, ReadsDocuments) == (at is not None)
    assert at is None or at in repr(provider)
    await endpoints.aclose()
