"""Anthropic's own API (Messages), which takes documents; its chat completions ignore them."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from greenline.llm.calls import CallBuilder
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
from greenline.llm.parts import IMAGES
from greenline.llm.reply import ReplyBuilder
from greenline.llm.sdk import Address, SdkClient
from greenline.llm.traits import DEFAULT, Traits
from greenline.llm.turns import Turn, turns_of

URL: Final = "https://api.anthropic.com/v1/"
VERSION: Final = "2023-06-01"
"""Anthropic: API versioning. It is the only one."""
MOST_TOKENS: Final = 4_096
"""The API wants a limit, and every Claude takes this one: about 3,000 words, more than an answer has."""
MOST_TOKENS_OF_THOUGHT: Final = 16_000
"""Of models that think unless told otherwise: what they think counts as well (Anthropic: Migrating to Opus 5)."""


def address(api_key: str, url: str = URL) -> Address:
    """Where the API is, with its key where it wants it."""
    return Address(url, headers={"x-api-key": api_key, "anthropic-version": VERSION})


class AnthropicMessages(Endpoint):
    """The API and all of its models."""

    def __init__(self, client: SdkClient, *, traits: Callable[[str], Traits] = lambda _: DEFAULT) -> None:
        super().__init__(client)
        self._traits = traits

    async def stream(self, request: ModelRequest, model: str) -> AsyncGenerator[StreamEvent, None]:
        reply = _Reply()
        body = request_json(request, model, replace(self._traits(model), documents=True))
        with self._client.errors():
            async with contextlib.aclosing(self._client.events("messages", body)) as events:
                async for event in self._to_the_end(events, reply):
                    delta = reply.add(event)
                    if delta is not None:
                        yield delta
        yield reply.whole(request.model)


class _Reply(ReplyBuilder):
    """A reply that is put together from events."""

    def __init__(self) -> None:
        super().__init__()
        self._calls = CallBuilder()

    def calls(self) -> tuple[ToolCall, ...]:
        return self._calls.calls()

    def add(self, event: Mapping[str, Any]) -> TextDelta | ReasoningDelta | None:
        """What to give out; an empty text for a sign of life that is none of it; else None."""
        match event.get("type"):
            case "message_start":
                self._count(event["message"].get("usage") or {})
            case "message_delta":
                self._count(event.get("usage") or {})
                self.ended = self.ended or bool(event["delta"].get("stop_reason"))
                if event["delta"].get("stop_reason") == "refusal":
                    self._refused = "the model refused"
            case "content_block_start" if event["content_block"]["type"] == "tool_use":
                block = event["content_block"]
                self._calls.add(event["index"], block["id"], block["name"], None)
                return self._live()
            case "content_block_start":
                return self._live()
            case "content_block_delta":
                return self._delta(event["index"], event["delta"])
        return None

    def _delta(self, index: int, delta: Mapping[str, Any]) -> TextDelta | ReasoningDelta | None:
        match delta["type"]:
            case "text_delta":
                return self._say(str(delta["text"]))
            case "thinking_delta" if delta["thinking"]:
                return self._think(str(delta["thinking"]))
            case "input_json_delta":
                self._calls.add(index, None, None, delta["partial_json"])
        return None

    def _count(self, usage: Mapping[str, Any]) -> None:
        """Keep the newest counts: those at the start lack what is written, those at the end may lack the rest."""
        before = self._usage
        self._usage = Usage(
            usage.get("input_tokens") or before.input,
            usage.get("output_tokens") or before.output,
            usage.get("cache_read_input_tokens") or before.cache_read,
            usage.get("cache_creation_input_tokens") or before.cache_write,
        )


def request_json(request: ModelRequest, model: str, traits: Traits) -> dict[str, Any]:
    """The request as the API knows it. ``reasoning_effort`` is left out, as Anthropic's chat completions do."""
    instructions, turns = turns_of(request.messages, traits)
    most = MOST_TOKENS if traits.sampling else MOST_TOKENS_OF_THOUGHT
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": request.max_tokens or most,
        "messages": [
            {"role": "user" if turn.side == "person" else "assistant", "content": list(_blocks(turn))}
            for turn in turns
        ],
        "stream": True,
    }
    if instructions:
        body["system"] = instructions
    if traits.sampling and request.temperature is not None:
        body["temperature"] = min(request.temperature, 1.0)  # the API takes no more
    if request.tools:
        body["tools"] = [
            {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)}
            for tool in request.tools
        ]
        body["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": not request.parallel_tool_calls}
    return body


def _blocks(turn: Turn) -> Iterator[dict[str, Any]]:
    for result in turn.results:
        yield {"type": "tool_result", "tool_use_id": result.call.id, "content": result.text}
    for part in turn.parts:
        yield _part_json(part)
    for call in turn.calls:
        yield {"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.arguments)}


def _part_json(part: TextPart | FilePart) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    source = {"type": "base64", "media_type": part.mime_type, "data": base64.b64encode(part.data).decode()}
    if part.mime_type in IMAGES:
        return {"type": "image", "source": source}
    return {"type": "document", "title": part.filename, "source": source}
