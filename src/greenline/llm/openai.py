"""Every endpoint that speaks OpenAI's chat completions: OpenAI, Anthropic, Gemini, Groq, Ollama, vLLM and others."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any

from greenline.llm.calls import CallBuilder
from greenline.llm.endpoint import Endpoint
from greenline.llm.models import (
    Message,
    ModelRequest,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    TextPart,
    ToolCall,
    ToolSpec,
    Usage,
)
from greenline.llm.parts import IMAGES, as_taken, data_url, with_files_if_taken
from greenline.llm.reply import ReplyBuilder
from greenline.llm.sdk import SdkClient
from greenline.llm.traits import DEFAULT, NO_SIGNATURE, Traits


class ChatCompletions(Endpoint):
    """One endpoint and all of its models."""

    def __init__(
        self,
        client: SdkClient,
        *,
        traits: Callable[[str], Traits] = lambda _: DEFAULT,
        extra_body_key: str | None = None,
    ) -> None:
        """``extra_body_key`` names the field that carries the request's extra body; None sends none."""
        super().__init__(client)
        self._traits = traits
        self._extra_body_key = extra_body_key

    async def stream(self, request: ModelRequest, model: str) -> AsyncGenerator[StreamEvent, None]:
        generate = partial(self._generate, request, model)
        async with contextlib.aclosing(with_files_if_taken(generate, request, self._traits(model))) as events:
            async for event in events:
                yield event

    async def _generate(self, request: ModelRequest, model: str, traits: Traits) -> AsyncGenerator[StreamEvent, None]:
        reply = _Reply()
        with self._client.errors():
            client = await self._client.open()
            from greenline.llm.streams import ChatStream

            arguments = self._arguments(request, model, traits)
            headers = self._client.call_headers()
            raw = await client.chat.completions.with_raw_response.create(**arguments, extra_headers=headers)
            async with raw.parse(to=ChatStream) as chunks:
                async for chunk in self._to_the_end(chunks, reply):
                    delta = reply.add(chunk)
                    if delta is not None:
                        yield delta
                reply.ended = reply.ended or chunks.done
        yield reply.whole(request.model)

    def _arguments(self, request: ModelRequest, model: str, traits: Traits) -> dict[str, Any]:
        optional = {
            "max_completion_tokens" if traits.completion_tokens else "max_tokens": request.max_tokens,
            "reasoning_effort": request.reasoning_effort,
            "temperature": request.temperature if traits.sampling or request.reasoning_effort == "none" else None,
        }
        arguments: dict[str, Any] = {
            "model": model,
            "messages": [message_json(message, traits) for message in request.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            **{name: value for name, value in optional.items() if value is not None},
        }
        if request.tools:
            arguments["tools"] = [_tool_json(tool) for tool in request.tools]
            if traits.parallel_option and not request.parallel_tool_calls:
                arguments["parallel_tool_calls"] = False
        if request.extra_body and self._extra_body_key:
            arguments["extra_body"] = {self._extra_body_key: dict(request.extra_body)}
        return arguments


class _Reply(ReplyBuilder):
    """A reply that is put together from chunks."""

    def __init__(self) -> None:
        super().__init__()
        self._calls = CallBuilder()

    def calls(self) -> tuple[ToolCall, ...]:
        return self._calls.calls()

    def add(self, chunk: Any) -> TextDelta | ReasoningDelta | None:
        """What to give out; an empty text for a sign of life that is none of it; else None."""
        if chunk.usage is not None:
            self._usage = _usage(chunk.usage)
        self._note(getattr(chunk, "metadata", None))
        if not chunk.choices:
            return None
        choice = chunk.choices[0]
        self.ended = self.ended or bool(choice.finish_reason)
        if choice.finish_reason == "content_filter":
            self._refused = "the endpoint's content filter stopped the answer"
        delta = choice.delta
        if delta is None:
            return None
        self._note(getattr(delta, "metadata", None))
        self._refused = getattr(delta, "refusal", None) or self._refused
        for piece in delta.tool_calls or ():
            function = piece.function
            self._calls.add(piece.index, piece.id, function and function.name, function and function.arguments)
        thinks = getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None)
        if delta.content:
            return self._say(str(delta.content))
        if isinstance(thinks, str) and thinks:
            return self._think(thinks)
        return self._live() if delta.tool_calls or thinks else None


def _usage(usage: Any) -> Usage:
    cached = getattr(usage.prompt_tokens_details, "cached_tokens", None) or 0
    return Usage((usage.prompt_tokens or 0) - cached, usage.completion_tokens or 0, cached)


def _tool_json(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def message_json(message: Message, traits: Traits) -> dict[str, Any]:
    """A message as chat completions know it."""
    parts = [as_taken(part, traits) for part in message.parts]
    content: Any
    if all(isinstance(part, TextPart) for part in parts):
        content = "\n".join(part.text for part in parts if isinstance(part, TextPart))
    else:
        content = [_part_json(part) for part in parts]
    data: dict[str, Any] = {"role": message.role, "content": content}
    if message.role == "tool":
        data["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        data["content"] = content or None
        data["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments))},
            }
            for call in message.tool_calls
        ]
        if traits.signed_calls:
            data["tool_calls"][0]["extra_content"] = {"google": {"thought_signature": NO_SIGNATURE}}
    return data


def _part_json(part: Any) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if part.mime_type in IMAGES:
        return {"type": "image_url", "image_url": {"url": data_url(part)}}
    return {"type": "file", "file": {"filename": part.filename, "file_data": data_url(part)}}
