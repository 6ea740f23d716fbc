"""From a person's message to the Graph POST, with a model that answers at once: our own overhead.

    python benchmarks/turns.py [--turns 20]

All durable writes are part of it: inbox, turn, outbox mark. Baseline: the two HTTP requests of the way alone, to a
handler that keeps nothing and posts at once, on the same machine in the same run. What is above it is the overhead.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Iterator
from itertools import count, repeat
from typing import Final

import httpx2
import load
import orjson
import uvloop
from harness import place, serve, table

TURNS_OF_A_CHAT: Final = 10
"""A long chat costs its model's reading of it, and ours: this one is as long as most are."""


class Sink:
    """A Graph API that accepts everything and notes when a message came for whom."""

    def __init__(self) -> None:
        self.url = ""
        self.waiting: dict[str, asyncio.Future[float]] = {}
        self._sent = 0

    def expect(self, person: str) -> asyncio.Future[float]:
        """Resolves with the moment of the next message to a person."""
        future = self.waiting[f"+{person}"] = asyncio.get_running_loop().create_future()
        return future

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                _, _, length = head.lower().partition(b"content-length:")
                body = await reader.readexactly(int(length.split(b"\r\n")[0] or 0))
                answer = orjson.dumps(self._answer(orjson.loads(body or b"{}")))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, body: dict[str, str]) -> dict[str, object]:
        if "to" not in body:  # the read receipt, and what a server asks about its number at its start
            return {"success": True}
        future = self.waiting.pop(body["to"], None)
        if future is not None and not future.done():
            future.set_result(time.perf_counter())
        self._sent += 1
        wa_id = body["to"].lstrip("+")
        contact = {"input": body["to"], "wa_id": wa_id, "user_id": f"US.{wa_id}"}
        return {"contacts": [contact], "messages": [{"id": f"wamid.OUT{self._sent}"}]}


async def chat(sink: Sink, port: int, people: Iterator[str], turns: int, found: list[float]) -> None:
    """``turns`` of one chat after the other, each of `TURNS_OF_A_CHAT`."""
    client = await load.Client.connect(port)
    person = ""
    for number in range(turns):
        if number % TURNS_OF_A_CHAT == 0:
            person = next(people)
        arrived = sink.expect(person)
        begun = time.perf_counter()
        wamid = f"wamid.{person}.{number}"
        assert await client.send(load.request(load.message_body(wamid, person, "When do you open?"))) == 200
        moment = await asyncio.wait_for(arrived, 30)
        found.append(moment - begun)
        await asyncio.sleep(0.05)
    client.close()


async def baseline(sink: Sink, turns: int) -> load.Result:
    """Receive, post, answer: no store, no agent."""
    result = load.Result()
    async with httpx2.AsyncClient(trust_env=False) as client:

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                try:
                    head = await reader.readuntil(b"\r\n\r\n")
                except asyncio.IncompleteReadError:
                    return
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                await client.post(sink.url, json={"to": "+15550000000", "type": "text"})

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        await chat(sink, server.sockets[0].getsockname()[1], repeat("15550000000"), turns, result.latencies)
        server.close()
    return result


async def measure(turns: int) -> None:
    """Run every row of the table."""
    sink = Sink()
    graph = await asyncio.start_server(sink.serve, "127.0.0.1", 0)
    sink.url = f"http://127.0.0.1:{graph.sockets[0].getsockname()[1]}"
    rows: list[list[object]] = []

    alone = await baseline(sink, turns * 5)

    def row(name: str, result: load.Result) -> None:
        over = [result.percentile(0.5) - alone.percentile(0.5)] if result is not alone else [""]
        rows.append([name, len(result.latencies), result.percentile(0.5), result.percentile(0.99), *over])

    row("baseline: receive and post", alone)
    settings = {"GREENLINE_GRAPH_URL": sink.url, "GREENLINE_PAIR_INTERVAL_SECONDS": "0"}
    settings["GREENLINE_THROUGHPUT_PER_SECOND"] = "100000"  # what the rate of a number makes wait is no overhead
    async with place() as where:
        with serve(where.data_dir, **settings) as (port, _):
            people = (f"1555{number:07}" for number in count(1))
            await chat(sink, port, people, 20, [])  # to begin with, as a server that runs for a while
            for chats in (1, 50):
                result = load.Result()
                each = turns * 5 if chats == 1 else turns
                await asyncio.gather(*(chat(sink, port, people, each, result.latencies) for _ in range(chats)))
                row(f"greenline, {chats} concurrent chat{'s' if chats > 1 else ''}", result)
    graph.close()
    columns = ["", "turns", "p50 ms", "p99 ms", "overhead p50 ms"]
    table("A person's message to the Graph POST", columns, rows)


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=20)
    uvloop.run(measure(parser.parse_args().turns))


if __name__ == "__main__":
    main()
