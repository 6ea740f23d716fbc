"""Endpoints that speak OpenAI's Responses API (``custom_llm.api_type`` is ``responses``)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Iterator
from functools import partial
from typing import Any, Final

from greenline.llm.calls import call_of
from greenline.llm.endpoint import Endpoint
from greenline.llm.errors import ModelError
from greenline.llm.models import (
    FilePart,
    Message,
    ModelRequest,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    TextPart,
    ToolCall,
    Usage,
)
from greenline.llm.parts import IMAGES, as_taken, data_url, with_files_if_taken
from greenline.llm.reply import ReplyBuilder
from greenline.llm.sdk import SdkClient
from greenline.llm.traits import Traits

TRAITS: Final = Traits(documents=True)


class Responses(Endpoint):
    """One endpoint and all of its models."""

    def __init__(self, client: SdkClient, *, extra_body_key: str | None = None) -> None:
        """``extra_body_key`` names the field that carries the request's extra body; None sends none."""
        super().__init__(client)
        self._extra_body_key = extra_body_key

    async def stream(self, request: ModelRequest, model: str) -> AsyncGenerator[StreamEvent, None]:
        generate = partial(self._generate, request, model)
        async with contextlib.aclosing(with_files_if_taken(generate, request, TRAITS)) as events:
            async for event in events:
                yield event

    async def _generate(self, request: ModelRequest, model: str, traits: Traits) -> AsyncGenerator[StreamEvent, None]:
        reply = _Reply()
        with self._client.errors():
            client = await self._client.open()
            from greenline.llm.streams import ResponseStream

            arguments = self._arguments(request, model, traits)
            headers = self._client.call_headers()
            raw = await client.responses.with_raw_response.create(**arguments, extra_headers=headers)
            async with raw.parse(to=ResponseStream) as events:
                async for event in self._to_the_end(events, reply):
                    delta = reply.add(event)
                    if delta is not None:
                        yield delta
                reply.ended = reply.ended or events.done
        yield reply.whole(request.model)

    def _arguments(self, request: ModelRequest, model: str, traits: Traits) -> dict[str, Any]:
        optional = {
            "max_output_tokens": request.max_tokens,
            "reasoning": {"effort": request.reasoning_effort} if request.reasoning_effort else None,
            "temperature": request.temperature,
        }
        arguments: dict[str, Any] = {
            "model": model,
            "input": [item for message in request.messages for item in _items(message, traits)],
            "stream": True,
            "store": False,
            **{name: value for name, value in optional.items() if value is not None},
        }
        if request.tools:
            arguments["parallel_tool_calls"] = request.parallel_tool_calls
            arguments["tools"] = [
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": dict(tool.parameters),
                    "strict": False,
                }
                for tool in request.tools
            ]
        if request.extra_body and self._extra_body_key:
            arguments["extra_body"] = {self._extra_body_key: dict(request.extra_body)}
        return arguments


class _Reply(ReplyBuilder):
    """A reply that is put together from events."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[ToolCall] = []

    def calls(self) -> tuple[ToolCall, ...]:
        return tuple(self._calls)

    def add(self, event: Any) -> TextDelta | ReasoningDelta | None:
        """What to give out; an empty text for a sign of life that is none of it; else None.

        Raises `ModelError`.
        """
        if event.type == "response.output_text.delta":
            return self._say(str(event.delta))
        if event.type in ("response.reasoning_text.delta", "response.reasoning_summary_text.delta"):
            return self._think(str(event.delta))
        if event.type in ("response.completed", "response.incomplete"):
            self.ended = True
            self._usage = _usage(event.response.usage)
            self._note(event.response.metadata)
        elif event.type in ("response.failed", "error"):
            raise _failure(event)
        elif event.type == "response.refusal.done":
            self._refused = event.refusal or "the model refused"
        elif event.type == "response.output_item.done" and event.item.type == "function_call":
            item = event.item
            self._calls.append(call_of(item.call_id, item.name, item.arguments or ""))
        elif event.type in ("response.output_item.added", "response.function_call_arguments.delta"):
            return self._live()
        return None


def _failure(event: Any) -> ModelError:
    error = event.response.error if event.type == "response.failed" else event
    code, text = getattr(error, "code", None), getattr(error, "message", None)
    if code == "rate_limit_exceeded":
        return ModelError("rate_limit", str(text))
    return ModelError("overloaded" if code in (None, "server_error") else "bad_request", str(text or code))


def _usage(usage: Any) -> Usage:
    if usage is None:
        return Usage()
    cached = getattr(usage.input_tokens_details, "cached_tokens", None) or 0
    return Usage((usage.input_tokens or 0) - cached, usage.output_tokens or 0, cached)


def _items(message: Message, traits: Traits) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        yield {"type": "function_call_output", "call_id": message.tool_call_id, "output": message.text}
        return
    parts = [as_taken(part, traits) for part in message.parts]
    if parts and all(isinstance(part, TextPart) for part in parts):
        yield {"role": message.role, "content": "\n".join(part.text for part in parts if isinstance(part, TextPart))}
    elif parts:
        yield {"role": message.role, "content": [_part_json(part) for part in parts]}
    for call in message.tool_calls:
        arguments = json.dumps(dict(call.arguments))
        yield {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments}


def _part_json(part: TextPart | FilePart) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "input_text", "text": part.text}
    if part.mime_type in IMAGES:
        return {"type": "input_image", "image_url": data_url(part), "detail": "auto"}
    return {"type": "input_file", "filename": part.filename, "file_data": data_url(part)}
