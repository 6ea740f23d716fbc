"""Cold and warm start to ready, memory at rest, and reads of the API.

    python benchmarks/start.py

Baseline: a FastAPI and uvicorn server with one empty route.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import load
import uvloop
from harness import memory_mb, place, serve, table

BASELINE = """
import uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.get("/x")
async def x():
    return {}
class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)
Server(uvicorn.Config(app, port=0, log_level="error", access_log=False)).run()
"""


def get(path: str, key: str = "") -> bytes:
    """A GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nxi-api-key: {key}\r\n\r\n".encode()


async def closed_loop(port: int, request: bytes, seconds: float = 3.0, connections: int = 8) -> float:
    """Requests a second over some connections that wait for each answer."""
    answered = 0

    async def one() -> None:
        nonlocal answered
        client = await load.Client.connect(port)
        while time.perf_counter() < end:
            assert await client.send(request) == 200
            answered += 1
        client.close()

    end = time.perf_counter() + seconds
    await asyncio.gather(*(one() for _ in range(connections)))
    return answered / seconds


async def measure() -> None:
    """Run every row of the table."""
    rows: list[list[object]] = []
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", BASELINE], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(process.stdout.readline())
    seconds = time.perf_counter() - begun
    rate = await closed_loop(port, get("/x"))
    rows.append(["FastAPI, one empty route", seconds, memory_mb(process.pid), rate])
    process.terminate()
    process.wait()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for name in ("greenline, first start (initdb and migrations)", "greenline, second start"):
            begun = time.perf_counter()
            with serve(Path(folder) / "data", GREENLINE_GRAPH_URL="http://127.0.0.1:9") as (port, running):
                seconds = time.perf_counter() - begun
                await asyncio.sleep(1)
                rows.append([name, seconds, memory_mb(running.pid), ""])
    async with place() as where:
        key = "gl_benchmark"
        await where.pool.execute("update workspace set name = 'Benchmark'")
        settings = {"GREENLINE_API_KEY": key, "GREENLINE_GRAPH_URL": "http://127.0.0.1:9"}
        with serve(where.data_dir, **settings) as (port, running):
            await where.pool.execute(
                "update whatsapp_account set workspace_id = (select workspace_id from api_key limit 1)"
            )
            rate = await closed_loop(port, get(f"/v1/convai/whatsapp-accounts/{load.NUMBER}", key))
            rows.append(["greenline, GET whatsapp-accounts/{id}", "", memory_mb(running.pid), rate])
    table("Start, memory, reads", ["", "ready s", "memory MB", "requests/s"], rows)


if __name__ == "__main__":
    uvloop.run(measure())
