"""Every endpoint that speaks OpenAI's chat completions: OpenAI, Anthropic, Gemini, Groq, Ollama, vLLM and others.

The SDK takes about a second to import and is imported with the first call, never when the server starts.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import httpx2

from greenline.llm.errors import Kind, ModelError
from greenline.llm.models import (
    FilePart,
    Message,
    ModelReply,
    ModelRequest,
    StreamEvent,
    TextDelta,
    TextPart,
    ToolCall,
    Usage,
)

if TYPE_CHECKING:
    from openai import AsyncOpenAI

IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


class OpenAIProvider:
    """One endpoint. ``base_url`` None is OpenAI's own; a key is optional for local servers."""

    def __init__(
        self,
        *,
        api_key: str | None,
        base_url: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        http: httpx2.AsyncClient | None = None,
        seconds: float = 60.0,
        sends_usage_option: bool = True,
    ) -> None:
        """``http`` carries the requests (through the outbound guard, for an agent's own endpoint)."""
        self._api_key = api_key
        self._base_url = base_url
        self._headers = dict(headers or {})
        self._query = dict(query or {})
        self._http = http
        self._seconds = seconds
        self._sends_usage_option = sends_usage_option
        self._client: AsyncOpenAI | None = None

    def __repr__(self) -> str:
        return f"<OpenAIProvider {self._base_url or 'api.openai.com'}>"

    async def aclose(self) -> None:
        """Close the kept connections."""
        if self._client is not None:
            await self._client.close()

    async def stream(self, request: ModelRequest, model: str) -> AsyncIterator[StreamEvent]:
        """Text deltas as they come, one `ModelReply` last. Raises `ModelError` only."""
        import openai

        try:
            async for event in self._stream(request, model):
                yield event
        except openai.APITimeoutError as error:
            raise ModelError("timeout", str(error)) from error
        except openai.APIConnectionError as error:
            raise ModelError("connection", f"{error} {error.__cause__ or ''}".strip()) from error
        except openai.APIStatusError as error:
            raise ModelError(_kind(error.status_code), f"HTTP {error.status_code}: {_message(error.body)}") from error
        except (openai.OpenAIError, httpx2.HTTPError, json.JSONDecodeError) as error:
            raise ModelError("connection", f"{type(error).__name__}: {error}") from error

    async def _stream(self, request: ModelRequest, model: str) -> AsyncIterator[StreamEvent]:
        begun = time.perf_counter()
        collected = _Collected()
        stream = await self._open().chat.completions.create(**self._arguments(request, model))
        async with stream:
            async for chunk in stream:
                text = collected.add(chunk)
                if text:
                    collected.first = collected.first or time.perf_counter() - begun
                    yield TextDelta(text)
        yield collected.reply(request.model, time.perf_counter() - begun)

    def _open(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        if self._client is None:
            self._client = AsyncOpenAI(
                api_key=self._api_key or "none",
                base_url=self._base_url,
                default_headers=self._headers,
                default_query=self._query,
                max_retries=0,
                timeout=self._seconds,
                http_client=self._http,
            )
        return self._client

    def _arguments(self, request: ModelRequest, model: str) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "model": model,
            "messages": [_message_json(message) for message in request.messages],
            "stream": True,
        }
        if self._sends_usage_option:
            arguments["stream_options"] = {"include_usage": True}
        if request.tools:
            arguments["tools"] = [
                {
                    "type": "function",
                    "function": {"name": t.name, "description": t.description, "parameters": dict(t.parameters)},
                }
                for t in request.tools
            ]
            if request.parallel_tool_calls:
                arguments["parallel_tool_calls"] = True
        optional = {
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
            "reasoning_effort": request.reasoning_effort,
        }
        arguments.update({name: value for name, value in optional.items() if value is not None})
        if request.extra_body:
            arguments["extra_body"] = dict(request.extra_body)
        return arguments


class _Collected:
    """A reply that is put together from chunks."""

    def __init__(self) -> None:
        self.first = 0.0
        self._text: list[str] = []
        self._calls: dict[int, dict[str, str]] = {}
        self._usage = Usage()

    def add(self, chunk: Any) -> str:
        usage = getattr(chunk, "usage", None)
        if usage is not None:
            details = getattr(usage, "prompt_tokens_details", None)
            cached = getattr(details, "cached_tokens", None) or 0
            self._usage = Usage((usage.prompt_tokens or 0) - cached, usage.completion_tokens or 0, cached)
        if not chunk.choices:
            return ""
        delta = chunk.choices[0].delta
        for part in delta.tool_calls or ():
            call = self._calls.setdefault(part.index if part.index is not None else 0, {})
            call["id"] = part.id or call.get("id", "")
            if part.function is not None:
                call["name"] = call.get("name", "") + (part.function.name or "")
                call["arguments"] = call.get("arguments", "") + (part.function.arguments or "")
        text = delta.content or ""
        self._text.append(text)
        return text

    def reply(self, model: str, seconds: float) -> ModelReply:
        calls = tuple(_tool_call(place, self._calls[place]) for place in sorted(self._calls))
        text = "".join(self._text)
        if not text.strip() and not calls:
            raise ModelError("empty", "the model answered with nothing")
        return ModelReply(model, text, calls, self._usage, (), seconds, self.first or seconds)


def _tool_call(place: int, call: Mapping[str, str]) -> ToolCall:
    try:
        arguments = json.loads(call.get("arguments") or "{}")
    except json.JSONDecodeError as error:
        raise ModelError("empty", f"the arguments of {call.get('name')} are no JSON") from error
    if not isinstance(arguments, dict):
        raise ModelError("empty", f"the arguments of {call.get('name')} are no object")
    return ToolCall(call.get("id") or f"call_{place}", call.get("name", ""), arguments)


def _message_json(message: Message) -> dict[str, Any]:
    data: dict[str, Any] = {"role": message.role}
    if any(isinstance(part, FilePart) for part in message.parts):
        data["content"] = [_part_json(part) for part in message.parts]
    else:
        data["content"] = message.text or None
    if message.tool_calls:
        data["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments))},
            }
            for call in message.tool_calls
        ]
    if message.role == "tool":
        data["tool_call_id"] = message.tool_call_id
        data["content"] = message.text
    return data


def _part_json(part: TextPart | FilePart) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    encoded = f"data:{part.mime_type};base64,{base64.b64encode(part.data).decode()}"
    if part.mime_type in IMAGES:
        return {"type": "image_url", "image_url": {"url": encoded}}
    return {"type": "file", "file": {"filename": part.filename, "file_data": encoded}}


def _kind(status: int) -> Kind:
    known: dict[int, Kind] = {401: "auth", 403: "auth", 408: "timeout", 429: "rate_limit"}
    return known.get(status) or ("overloaded" if status >= 500 else "bad_request")


def _message(body: object) -> str:
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        text = inner.get("message") if isinstance(inner, Mapping) else inner
        return str(text)[:500]
    return str(body)[:500]
