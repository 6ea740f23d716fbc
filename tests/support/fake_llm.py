"""An OpenAI-compatible server on loopback that plays scripted answers and remembers what it saw.

It speaks HTTP itself, so that a test can cut a connection in the middle of a stream, keep a client waiting for its
first token, and know when the client has hung up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from support.loopback import read_head, tcp_server

Json = dict[str, Any]
USAGE: Json = {
    "prompt_tokens": 20,
    "completion_tokens": 5,
    "total_tokens": 25,
    "prompt_tokens_details": {"cached_tokens": 8},
}


@dataclass
class Seen:
    """One request. ``closed`` is set when the client has hung up before the answer was whole."""

    path: str
    headers: Mapping[str, str]
    body: Json
    closed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Play:
    """What the server does with one request.

    ``events`` are sent as server-sent events; after ``hang_after`` of them the server falls silent, after
    ``cut_after`` of them it drops the connection. ``end`` is the event after the last one, if any. Nothing is sent
    before ``after`` is set.
    """

    events: list[Json | str] = field(default_factory=list)
    status: int = 200
    body: Json | list[Json] | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    hang_after: int | None = None
    cut_after: int | None = None
    end: str | None = "[DONE]"
    after: asyncio.Event | None = None


def chunk(delta: Json | None = None, finish: str | None = None, **more: Any) -> Json:
    """A chunk of a chat completion."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "fake", "choices": [choice], **more}


def usage(counts: Json | None = None) -> Json:
    """The last chunk of a stream with ``include_usage``."""
    return {**chunk(), "choices": [], "usage": counts or USAGE}


def says(*pieces: str, **more: Any) -> Play:
    """A text in pieces."""
    deltas: list[Json | str] = [chunk({"role": "assistant", "content": ""})]
    deltas += [chunk({"content": piece}) for piece in pieces]
    return Play([*deltas, chunk(finish="stop"), usage()], **more)


def calls(*pieces: Json, **more: Any) -> Play:
    """Tool calls in pieces, each an entry of ``delta.tool_calls``."""
    deltas: list[Json | str] = [chunk({"tool_calls": [piece]}) for piece in pieces]
    return Play([*deltas, chunk(finish="tool_calls"), usage()], **more)


def claude_says(*blocks: Json, stop: str = "end_turn", **more: Any) -> Play:
    """A message of Anthropic's own API. Each block is its beginning, with what follows it in ``deltas``."""
    start = {"input_tokens": 12, "cache_read_input_tokens": 8, "cache_creation_input_tokens": 3, "output_tokens": 1}
    events: list[Json | str] = [
        {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": [], "usage": start}}
    ]
    for index, block in enumerate(blocks):
        deltas = block.pop("deltas")
        events += [{"type": "content_block_start", "index": index, "content_block": block}, {"type": "ping"}]
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    end = {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 5}}
    return Play([*events, end, {"type": "message_stop"}], end=None, **more)


def claude_text(*pieces: str) -> Json:
    """A block of text."""
    return {"type": "text", "text": "", "deltas": [{"type": "text_delta", "text": piece} for piece in pieces]}


def gemini_says(*parts: Json, finish: str = "STOP", **more: Any) -> Play:
    """An answer of Gemini's own API, a chunk for each part."""
    counts = {
        "promptTokenCount": 20,
        "candidatesTokenCount": 3,
        "thoughtsTokenCount": 2,
        "cachedContentTokenCount": 8,
    }
    events: list[Json | str] = [
        {"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0}]} for part in parts
    ]
    end = {"candidates": [{"finishReason": finish, "index": 0}], "usageMetadata": counts}
    return Play([*events, end], end=None, **more)


def fails(status: int, message: str = "no") -> Play:
    """An error in OpenAI's envelope."""
    return Play(status=status, body={"error": {"message": message, "type": "error", "code": None}})


class FakeLlm:
    """The server. `plays` are used up in order; the last one stays."""

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[Seen] = []
        self.plays: list[Play] = []

    def will(self, *plays: Play) -> None:
        """Play these from now on."""
        self.plays = list(plays)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        while await self._exchange(reader, writer):
            pass

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first, headers = await read_head(reader)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        seen = Seen(first.split(" ")[1], headers, json.loads(body or b"{}"))
        play = self.plays.pop(0) if len(self.plays) > 1 else self.plays[0]
        self.seen.append(seen)
        watcher = asyncio.create_task(self._watch(reader, seen))
        try:
            return await self._play(play, seen, writer)
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)

    async def _watch(self, reader: asyncio.StreamReader, seen: Seen) -> None:
        while not reader.at_eof():  # noqa: ASYNC110 - bytes may belong to the next request: they must stay unread
            await asyncio.sleep(0.005)
        seen.closed.set()

    async def _play(self, play: Play, seen: Seen, writer: asyncio.StreamWriter) -> bool:
        if play.after is not None:
            await play.after.wait()
        if play.body is not None:
            whole = play.body if isinstance(play.body, str) else json.dumps(play.body)
            await _send(writer, play, whole.encode())
            return True
        writer.write(_head(play, {"content-type": "text/event-stream", "transfer-encoding": "chunked"}))
        for place, event in enumerate([*play.events, *([play.end] if play.end else [])]):
            if place == play.cut_after:
                return False
            if place == play.hang_after:
                await seen.closed.wait()
                return False
            await _write_event(writer, event)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


def _head(play: Play, more: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {play.status} Any", *(f"{k}: {v}" for k, v in {**more, **play.headers}.items())]
    return "\r\n".join([*lines, "", ""]).encode()


async def _send(writer: asyncio.StreamWriter, play: Play, body: bytes) -> None:
    writer.write(_head(play, {"content-type": "application/json", "content-length": str(len(body))}) + body)
    await writer.drain()


async def _write_event(writer: asyncio.StreamWriter, event: Json | str) -> None:
    name = f"event: {event['type']}\n" if isinstance(event, dict) and "type" in event else ""
    data = event if isinstance(event, str) else json.dumps(event)
    part = f"{name}data: {data}\n\n".encode()
    writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
    await writer.drain()


@contextlib.asynccontextmanager
async def fake_llm(*plays: Play) -> AsyncIterator[FakeLlm]:
    """A server on a free port of loopback."""
    fake = FakeLlm()
    fake.will(*plays)
    async with tcp_server(fake.serve) as port:
        fake.url = f"http://127.0.0.1:{port}/v1"
        yield fake
