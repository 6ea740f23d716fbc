"""Signed webhooks to durable 200s, against a FastAPI handler that verifies and drops, and a bare one that only keeps.

    python benchmarks/webhooks.py [--rate 4000] [--seconds 10]

Beside them turns: of three journaled steps, which is the engine alone, and answered by an agent with a model that
answers at once. Load generator, server and Postgres share the machine; latency counts from the scheduled time of a
request.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import load
import uvloop
from harness import Place, place, serve, table
from turns import Sink

REPLIES = "select count(*) from outbox"
"""Each turn has one."""
UNANSWERED = "select exists (select 1 from inbox where kind = 'message' and done_at is null)"

BASELINE = """
import hashlib, hmac, json, sys
import uvicorn
from fastapi import FastAPI, Request, Response
app = FastAPI()
@app.post("/webhooks/whatsapp")
async def webhook(request: Request):
    body = await request.body()
    good = "sha256=" + hmac.new(sys.argv[1].encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(good, request.headers.get("x-hub-signature-256", "")):
        return Response(status_code=401)
    json.loads(body)
    return Response()
class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)
Server(uvicorn.Config(app, port=0, log_level="error", access_log=False, timeout_keep_alive=65)).run()
"""


@contextlib.contextmanager
def baseline(*program: str | Path) -> Iterator[int]:
    """A server of a few lines; gives its port."""
    process = subprocess.Popen([sys.executable, *program], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def statuses_and_messages(prefix: str, share: int = 4) -> Callable[[int], bytes]:
    """One message in ``share`` requests, statuses otherwise; the messages are of 2,000 people."""

    def make(number: int) -> bytes:
        person = f"1555{number % 2000:07}"
        if number % share == 0:
            return load.request(load.message_body(f"wamid.{prefix}{number}", person, "When do you open?"))
        return load.request(load.status_body(f"wamid.{prefix}s{number}", person))

    return make


def only_statuses(prefix: str) -> Callable[[int], bytes]:
    """Requests that need no turn."""
    return lambda number: load.request(load.status_body(f"wamid.{prefix}{number}", f"1555{number % 2000:07}"))


async def beside_turns(
    where: Place, prefix: str, port: int, rate: float, seconds: float
) -> tuple[load.Result, float]:
    """Webhooks of which a quarter are messages; also the turns a second that ended meanwhile. Waits for the rest."""
    before = await where.pool.fetchval(REPLIES)
    result = await load.open_loop("127.0.0.1", port, statuses_and_messages(prefix), rate=rate, seconds=seconds)
    turns = (await where.pool.fetchval(REPLIES) - before) / result.seconds
    async with asyncio.timeout(120):
        while await where.pool.fetchval(UNANSWERED):  # noqa: ASYNC110 - it is another process that works
            await asyncio.sleep(0.2)
    return result, turns


async def measure(rate: float, seconds: float) -> None:
    """Run every row of the table."""
    rows: list[list[object]] = []

    def row(name: str, result: load.Result, turns: float | str = "") -> None:
        p50, p99 = result.percentile(0.5), result.percentile(0.99)
        rows.append([name, f"{rate:.0f}", result.rate, p50, p99, result.refused, turns])

    with baseline("-c", BASELINE, load.SECRET) as port:
        await load.open_loop("127.0.0.1", port, only_statuses("warm"), rate=rate / 4, seconds=2)
        row(
            "FastAPI, verify and drop",
            await load.open_loop("127.0.0.1", port, only_statuses("b"), rate=rate, seconds=seconds),
        )
    sink = Sink()
    graph = await asyncio.start_server(sink.serve, "127.0.0.1", 0)
    settings = {"GREENLINE_GRAPH_URL": f"http://127.0.0.1:{graph.sockets[0].getsockname()[1]}"}
    async with place() as where:
        with baseline(Path(__file__).parent / "webhooks_plain.py", load.SECRET, where.dsn) as port:
            await load.open_loop("127.0.0.1", port, statuses_and_messages("warm"), rate=rate / 4, seconds=2)
            result = await load.open_loop("127.0.0.1", port, statuses_and_messages("p"), rate=rate, seconds=seconds)
            row("bare ASGI, kept and no more", result)
        await where.pool.execute("drop table plain_event, plain_chat")
        with serve(where.data_dir, (str(Path(__file__).parent / "webhooks_steps.py"),), **settings) as (port, _):
            await load.open_loop("127.0.0.1", port, only_statuses("warm"), rate=rate / 4, seconds=2)
            row(
                "greenline, statuses",
                await load.open_loop("127.0.0.1", port, only_statuses("a"), rate=rate, seconds=seconds),
            )
            row(
                "greenline, 25 % messages, each a turn of three journaled steps",
                *await beside_turns(where, "s", port, rate, seconds),
            )
    async with place() as where:
        settings |= {"GREENLINE_PAIR_INTERVAL_SECONDS": "0", "GREENLINE_THROUGHPUT_PER_SECOND": "100000"}
        with serve(where.data_dir, **settings) as (port, _):
            await load.open_loop("127.0.0.1", port, only_statuses("warm"), rate=rate / 4, seconds=2)
            row(
                "greenline, 25 % messages, each answered by an agent and sent",
                *await beside_turns(where, "m", port, rate, seconds),
            )
    graph.close()
    columns = ["server", "asked/s", "answered/s", "p50 ms", "p99 ms", "not 200", "turns/s"]
    table("Signed webhooks to durable 200s", columns, rows)


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=4000)
    parser.add_argument("--seconds", type=float, default=10)
    arguments = parser.parse_args()
    uvloop.run(measure(arguments.rate, arguments.seconds))


if __name__ == "__main__":
    main()
