"""A provider of speech over HTTP on loopback that plays scripted answers and remembers what it saw."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from support.loopback import read_head, tcp_server


@dataclass
class Request:
    """What came. ``closed`` is set when the client has hung up before the answer was whole."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def part(self, name: str) -> bytes:
        """The content of a part of a form."""
        boundary = self.headers["content-type"].partition("boundary=")[2].encode()
        for part in self.body.split(b"--" + boundary):
            head, _, content = part.partition(b"\r\n\r\n")
            if f'name="{name}"'.encode() in head:
                return content.removesuffix(b"\r\n")
        raise LookupError(name)


@dataclass
class Answer:
    """What is sent: after ``hang_after`` pieces the server falls silent, after ``cut_after`` it hangs up."""

    pieces: list[bytes] = field(default_factory=list)
    status: int = 200
    content_type: str | None = None
    hang_after: int | None = None
    cut_after: int | None = None


def says(body: Any, status: int = 200) -> Answer:
    """An answer in JSON, or in the given bytes."""
    return Answer([body if isinstance(body, bytes) else json.dumps(body).encode()], status)


class SpeechHttp:
    """The server. Answers are used up in order; the last one stays."""

    def __init__(self) -> None:
        self.url = ""
        self.connections = 0
        self.seen: list[Request] = []
        self.answers: list[Answer] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        self.connections += 1
        while await self._exchange(reader, writer):
            pass

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first, headers = await read_head(reader)
        request = Request(first.split(" ")[1], headers, await _body(reader, headers))
        self.seen.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        kind = f"content-type: {answer.content_type}\r\n" if answer.content_type else ""
        writer.write(f"HTTP/1.1 {answer.status} Any\r\n{kind}transfer-encoding: chunked\r\n\r\n".encode())
        for place, piece in enumerate([*answer.pieces, b""]):
            if place == answer.cut_after:
                await writer.drain()
                return False
            if place == answer.hang_after:
                await writer.drain()
                await reader.read(1)
                request.closed.set()
                return False
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await writer.drain()
        return True


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    body = b""
    while size := int((await reader.readline()).strip(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body


@contextlib.asynccontextmanager
async def speech_http(*answers: Answer) -> AsyncIterator[SpeechHttp]:
    """A server on a free port of loopback."""
    server = SpeechHttp()
    server.answers = list(answers)
    async with tcp_server(server.serve) as port:
        server.url = f"http://127.0.0.1:{port}"
        yield server
