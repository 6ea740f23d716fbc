"""What floods of clients cost a server: memory, and time of others."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from statistics import quantiles
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from support.http import http_client
from support.server import serve_process
from support.socket_agents import make_agent
from support.sockets import SocketClient, client
from support.sounds import noise

KEY = "gl_flood"
FLOODS = 3
SECONDS = 110
"""Of sound at once, just within the limit: what is judged, and not cut."""
MOST_DELAY_MS = 100.0
FLOODERS = 24
MOST_MB = 8.0
"""Of one of them: twice the largest message, and a copy of it."""


def ends_with(text: str) -> Callable[[dict[str, Any]], bool]:
    """Whether an answer does."""
    return lambda frame: frame["agent_response_event"]["agent_response"].endswith(text)


async def answers(socket: SocketClient, count: int) -> float:
    """Milliseconds within which nine of ten messages are answered."""
    took = []
    for number in range(count):
        text = f"message {number}"
        begun = time.perf_counter()
        await socket.send(type="user_message", text=text)
        await socket.until("agent_response", ends_with(text))
        took.append((time.perf_counter() - begun) * 1000)
        await asyncio.sleep(0.2)
    return quantiles(took, n=10)[-1]


@contextlib.asynccontextmanager
async def floods(url: str, agent_id: str) -> AsyncIterator[None]:
    """Conversations that have sent as much noise as they may."""
    frame = json.dumps({"user_audio_chunk": base64.b64encode(noise(1.0, 16_000, amplitude=6_000.0)).decode()})

    async def flood(begun: asyncio.Barrier) -> None:
        async with client(url, f"/v1/convai/conversation?agent_id={agent_id}") as socket:
            await socket.begin()
            for _ in range(SECONDS):
                await socket.connection.send(frame)
                await asyncio.sleep(0)
            await begun.wait()
            with contextlib.suppress(ConnectionClosed):
                await socket.connection.recv()
                await asyncio.Event().wait()

    begun = asyncio.Barrier(FLOODS + 1)
    running = [asyncio.create_task(flood(begun)) for _ in range(FLOODS)]
    try:
        await begun.wait()
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def send_all(url: str, agent_id: str, frames: list[str]) -> int:
    """Send ``frames`` before the first word of anybody, compressed if the server takes that; the close code."""
    address = f"ws{url.removeprefix('http')}/v1/convai/conversation?agent_id={agent_id}"
    async with connect(address, proxy=None, max_size=None) as connection:
        with contextlib.suppress(ConnectionClosed):
            for frame in frames:
                await connection.send(frame)
            await connection.wait_closed()
    return connection.close_code or 0


async def test_messages_of_any_size_cost_little_memory(dsn: str, tmp_path: Path) -> None:
    """Strangers send what is too large, all at once: it is refused while it comes."""
    environment = {"GREENLINE_DATABASE_URL": dsn, "GREENLINE_API_KEY": KEY, "GREENLINE_SECRET_KEY": "F" * 43 + "="}
    async with serve_process(tmp_path, environment=environment) as process:
        running = await process.ready()
        async with http_client(running.url, KEY) as http:
            agent_id = await make_agent(http)
            before = peak_mb(process.process.pid)
            frame = json.dumps({"user_audio_chunk": "A" * 15_000_000})
            codes = await asyncio.gather(*(send_all(running.url, agent_id, [frame] * 4) for _ in range(FLOODERS)))
            assert set(codes) == {1009}
            assert peak_mb(process.process.pid) - before < FLOODERS * MOST_MB
            assert (await http.get("/healthz")).status_code == 200


async def test_what_waits_behind_sound_costs_little_memory(dsn: str, tmp_path: Path) -> None:
    """Of any kind: what a message holds is not read before its turn."""
    environment = {"GREENLINE_DATABASE_URL": dsn, "GREENLINE_API_KEY": KEY, "GREENLINE_SECRET_KEY": "F" * 43 + "="}
    sound = json.dumps({"user_audio_chunk": base64.b64encode(noise(1.0, 16_000, amplitude=6_000.0)).decode()})
    result = {"type": "client_tool_result", "tool_call_id": "call_1", "result": "A" * 1_000_000, "is_error": False}
    start = json.dumps({"type": "conversation_initiation_client_data"})
    async with serve_process(tmp_path, environment=environment) as process:
        running = await process.ready()
        async with http_client(running.url, KEY) as http:
            agent_id = await make_agent(http, text_only=False)
        before = peak_mb(process.process.pid)
        frames = [start, *[sound] * SECONDS, *[json.dumps(result)] * 200]
        assert await send_all(running.url, agent_id, frames) == 1008
        assert peak_mb(process.process.pid) - before < 100


def peak_mb(pid: int) -> float:
    """The most memory that a process has had."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


@pytest.mark.soak
async def test_a_flood_of_noise_delays_others_little(dsn: str, tmp_path: Path) -> None:
    environment = {"GREENLINE_DATABASE_URL": dsn, "GREENLINE_API_KEY": KEY, "GREENLINE_SECRET_KEY": "F" * 43 + "="}
    async with serve_process(tmp_path, environment=environment) as process:
        running = await process.ready()
        async with http_client(running.url, KEY) as http:
            speaks, writes = await make_agent(http, text_only=False), await make_agent(http)
        async with client(running.url, f"/v1/convai/conversation?agent_id={writes}") as other:
            await other.begin()
            await answers(other, 5)  # everything was imported, and every statement prepared
            calm = await answers(other, 30)
            async with floods(running.url, speaks):
                flooded = await answers(other, 30)
    assert flooded - calm < MOST_DELAY_MS, f"{calm:.0f} ms became {flooded:.0f} ms"
