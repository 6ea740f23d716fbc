"""An open-loop load generator for signed webhooks: latency counts from the scheduled time of a request."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

SECRET = "0123456789abcdef0123456789abcdef"
NUMBER = "100200300400500"


@dataclass
class Result:
    """Latencies in seconds, and how many answers were not 200."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    refused: int = 0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """A percentile of the latency in milliseconds."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def message_body(wamid: str, person: str, text: str = "Is my order ready?") -> bytes:
    """A delivery of one text message of about 870 bytes, as Meta writes it."""
    return (
        '{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":'
        '{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550001111",'
        f'"phone_number_id":"{NUMBER}"}},"contacts":[{{"profile":{{"name":"Ann"}},"wa_id":"{person}",'
        f'"user_id":"US.{person}"}}],"messages":[{{"from":"{person}","from_user_id":"US.{person}","id":"{wamid}",'
        f'"timestamp":"{int(time.time())}","type":"text","text":{{"body":"{text}"}},'
        f'"padding":"{"x" * 380}"}}]}}}}]}}]}}'
    ).encode()


def status_body(wamid: str, person: str) -> bytes:
    """A delivery of one status."""
    return (
        '{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":'
        '{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550001111",'
        f'"phone_number_id":"{NUMBER}"}},"statuses":[{{"id":"{wamid}","status":"delivered",'
        f'"timestamp":"{int(time.time())}","recipient_id":"{person}","recipient_user_id":"US.{person}",'
        f'"pricing":{{"billable":true,"pricing_model":"PMP","category":"service","type":"regular"}},'
        f'"padding":"{"x" * 330}"}}]}}}}]}}]}}'
    ).encode()


def request(body: bytes, path: str = "/webhooks/whatsapp") -> bytes:
    """The signed HTTP request of a body."""
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"X-Hub-Signature-256: sha256={digest}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[int] | None = None
        self.transport: asyncio.Transport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0]) if b"content-length:" in head else 0
        if len(self._buffer) < end + 4 + length:
            return
        status = int(self._buffer[9:12])
        self._buffer = self._buffer[end + 4 + length :]
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(status)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(0)

    async def send(self, data: bytes) -> int:
        assert self.transport is not None
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(data)
        return await self.answer


async def open_loop(
    host: str, port: int, make: Callable[[int], bytes], *, rate: float, seconds: float, connections: int = 64
) -> Result:
    """Send ``make(n)`` at a steady ``rate`` over ``connections``, however slowly the answers come."""
    loop = asyncio.get_running_loop()
    idle: asyncio.Queue[_Connection] = asyncio.Queue()
    for _ in range(connections):
        _, protocol = await loop.create_connection(_Connection, host, port)
        idle.put_nowait(protocol)
    result = Result()
    total = int(rate * seconds)
    begun = time.perf_counter()

    async def one(number: int, due: float) -> None:
        connection = await idle.get()
        status = await connection.send(make(number))
        result.latencies.append(time.perf_counter() - due)
        result.refused += status != 200
        idle.put_nowait(connection)

    tasks: set[asyncio.Task[None]] = set()
    for number in range(total):
        due = begun + number / rate
        wait = due - time.perf_counter()
        if wait > 0.001:
            await asyncio.sleep(wait)
        task = asyncio.create_task(one(number, due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks)
    result.seconds = time.perf_counter() - begun
    while not idle.empty():
        transport = idle.get_nowait().transport
        if transport is not None:
            transport.close()
    return result
