"""How long others wait while clients flood a server with noise: measured on a machine that does nothing else."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import quantiles

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed

from support.server import serve_process
from support.socket_agents import make_agent
from support.sockets import SocketClient, client
from support.sounds import noise

KEY = "gl_flood"
FLOODS = 3
SECONDS = 110
"""Of sound at once, just within the limit: what is judged, and not cut."""
MOST_DELAY_MS = 100.0


async def answers(socket: SocketClient, count: int) -> float:
    """Milliseconds within which nine of ten messages are answered."""
    took = []
    for number in range(count):
        text = f"message {number}"
        begun = time.perf_counter()
        await socket.send(type="user_message", text=text)
        await socket.until(
            "agent_response", lambda f, t=text: f["agent_response_event"]["agent_response"].endswith(t)
        )
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


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_a_flood_of_noise_delays_others_little(dsn: str, tmp_path: Path) -> None:
    environment = {"GREENLINE_DATABASE_URL": dsn, "GREENLINE_API_KEY": KEY, "GREENLINE_SECRET_KEY": "F" * 43 + "="}
    async with serve_process(tmp_path, environment=environment) as process:
        running = await process.ready()
        async with httpx2.AsyncClient(base_url=running.url, headers={"xi-api-key": KEY}, trust_env=False) as http:
            speaks, writes = await make_agent(http, text_only=False), await make_agent(http)
        async with client(running.url, f"/v1/convai/conversation?agent_id={writes}") as other:
            await other.begin()
            await answers(other, 5)  # everything was imported, and every statement prepared
            calm = await answers(other, 30)
            async with floods(running.url, speaks):
                flooded = await answers(other, 30)
    assert flooded - calm < MOST_DELAY_MS, f"{calm:.0f} ms became {flooded:.0f} ms"
