"""Gemini's own API (generateContent), which takes documents; its chat completions take none."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from greenline.llm.calls import call_of
from greenline.llm.endpoint import Endpoint
from greenline.llm.models import (
    FilePart,
    ModelRequest,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    TextPart,
    ToolCall,
    Usage,
)
from greenline.llm.reply import ReplyBuilder
from greenline.llm.sdk import Address, SdkClient
from greenline.llm.traits import DEFAULT, NO_SIGNATURE, Traits
from greenline.llm.turns import Result, Turn, turns_of

URL: Final = "https://generativelanguage.googleapis.com/v1beta/"
REFUSED: Final = frozenset({"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE"})
"""Values of ``finishReason`` for an answer that Google stopped."""
BUDGETS: Final = {"none": 0, "minimal": 1_024, "low": 1_024, "medium": 8_192, "high": 24_576}
"""Tokens of thought of Gemini 2.5, as its chat completions read ``reasoning_effort`` (Gemini API: OpenAI
compatibility). Later models take the word itself."""
EARLIER: Final = ("gemini-1", "gemini-2")
LEVELS: Final = frozenset({"minimal", "low", "medium", "high"})


def address(api_key: str, url: str = URL) -> Address:
    """Where the API is, with its key where it wants it."""
    return Address(url, headers={"x-goog-api-key": api_key})


class GeminiContents(Endpoint):
    """The API and all of its models."""

    def __init__(self, client: SdkClient, *, traits: Callable[[str], Traits] = lambda _: DEFAULT) -> None:
        super().__init__(client)
        self._traits = traits

    async def stream(self, request: ModelRequest, model: str) -> AsyncGenerator[StreamEvent, None]:
        reply = _Reply()
        body = request_json(request, model, replace(self._traits(model), documents=True))
        path = f"models/{model}:streamGenerateContent"
        with self._client.errors():
            async with contextlib.aclosing(self._client.events(path, body, {"alt": "sse"})) as chunks:
                async for chunk in self._to_the_end(chunks, reply):
                    for delta in reply.add(chunk):
                        yield delta
        yield reply.whole(request.model)


class _Reply(ReplyBuilder):
    """A reply that is put together from chunks, each of them a whole answer of the API with a piece of the text."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[ToolCall] = []

    def calls(self) -> tuple[ToolCall, ...]:
        return tuple(self._calls)

    def add(self, chunk: Mapping[str, Any]) -> Iterator[TextDelta | ReasoningDelta]:
        """What to give out, with an empty text for a sign of life that is none of it."""
        if counts := chunk.get("usageMetadata"):
            self._usage = _usage(counts)
        if blocked := (chunk.get("promptFeedback") or {}).get("blockReason"):
            self._refused = f"Gemini blocked the request: {blocked}"
        for candidate in chunk.get("candidates") or ():
            self.ended = self.ended or bool(candidate.get("finishReason"))
            if candidate.get("finishReason") in REFUSED:
                self._refused = f"Gemini stopped the answer: {candidate['finishReason']}"
            for part in (candidate.get("content") or {}).get("parts") or ():
                yield self._part(part)

    def _part(self, part: Mapping[str, Any]) -> TextDelta | ReasoningDelta:
        if call := part.get("functionCall"):
            call_id = call.get("id") or f"call_{len(self._calls)}"
            self._calls.append(call_of(call_id, call["name"], json.dumps(call.get("args") or {})))
        text = part.get("text")
        if not text:
            return self._live()
        return self._think(text) if part.get("thought") else self._say(text)


def _usage(counts: Mapping[str, Any]) -> Usage:
    cached = counts.get("cachedContentTokenCount") or 0
    written = (counts.get("candidatesTokenCount") or 0) + (counts.get("thoughtsTokenCount") or 0)
    return Usage((counts.get("promptTokenCount") or 0) - cached, written, cached)


def request_json(request: ModelRequest, model: str, traits: Traits) -> dict[str, Any]:
    """The request as the API knows it."""
    instructions, turns = turns_of(request.messages, traits)
    optional = {
        "temperature": request.temperature,
        "maxOutputTokens": request.max_tokens,
        "thinkingConfig": _thinking(request.reasoning_effort, model),
    }
    body: dict[str, Any] = {
        "contents": list(_contents(turns, traits)),
        "generationConfig": {name: value for name, value in optional.items() if value is not None},
    }
    if instructions:
        body["systemInstruction"] = {"parts": [{"text": instructions}]}
    if request.tools:
        declarations = [
            {"name": tool.name, "description": tool.description, "parametersJsonSchema": dict(tool.parameters)}
            for tool in request.tools
        ]
        body["tools"] = [{"functionDeclarations": declarations}]
    return body


def _thinking(effort: str | None, model: str) -> dict[str, Any] | None:
    if model.startswith(EARLIER):
        return {"thinkingBudget": BUDGETS[effort]} if effort in BUDGETS else None
    return {"thinkingLevel": effort} if effort in LEVELS else None


def _contents(turns: Iterable[Turn], traits: Traits) -> Iterator[dict[str, Any]]:
    for turn in turns:
        if turn.results:  # alone: a content with results and anything else is refused
            yield {"role": "user", "parts": [_result_json(result) for result in turn.results]}
        parts = [piece for part in turn.parts for piece in _part_json(part)]
        parts += [{"functionCall": {"name": call.name, "args": dict(call.arguments)}} for call in turn.calls]
        if turn.calls and traits.signed_calls:
            parts[-len(turn.calls)]["thoughtSignature"] = NO_SIGNATURE
        if parts:
            yield {"role": "user" if turn.side == "person" else "model", "parts": parts}


def _result_json(result: Result) -> dict[str, Any]:
    return {"functionResponse": {"name": result.call.name, "response": {"result": result.text}}}


def _part_json(part: TextPart | FilePart) -> Iterator[dict[str, Any]]:
    if isinstance(part, TextPart):
        yield {"text": part.text}
        return
    yield {"text": f"File {part.filename}:"}  # the data has no name of its own
    yield {"inlineData": {"mimeType": part.mime_type, "data": base64.b64encode(part.data).decode()}}
