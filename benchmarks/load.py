"""An open-loop load generator for signed webhooks: latency counts from the scheduled time of a request."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections import deque
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
    """One request at a time."""

    due = 0.0
    """When the request in the air should have left."""

    def __init__(self, answered: Callable[[_Connection, int], None]) -> None:
        self._answered = answered
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
        self._answered(self, status)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.due:
            self._answered(self, 0)


class Client:
    """A connection whose requests wait for each other's answers."""

    def __init__(self) -> None:
        self._status: asyncio.Future[int]
        self._connection: _Connection

    @classmethod
    async def connect(cls, port: int, host: str = "127.0.0.1") -> Client:
        """Open the connection."""
        client, loop = cls(), asyncio.get_running_loop()
        _, client._connection = await loop.create_connection(lambda: _Connection(client._answered), host, port)
        return client

    async def send(self, data: bytes) -> int:
        """The status of the answer to a request; 0 when the connection was closed instead."""
        self._status = asyncio.get_running_loop().create_future()
        self._connection.due = time.perf_counter()
        self._connection.transport.write(data)
        return await self._status

    def close(self) -> None:
        """Close the connection."""
        self._connection.due = 0.0
        self._connection.transport.close()

    def _answered(self, connection: _Connection, status: int) -> None:
        connection.due = 0.0
        self._status.set_result(status)


class _Load:
    """Requests that leave as soon as they are due and a connection is free."""

    def __init__(self, total: int) -> None:
        self.result = Result()
        self.over = asyncio.Event()
        self.connections: list[_Connection] = []
        self._total = total
        self._idle: list[_Connection] = []
        self._waiting: deque[tuple[bytes, float]] = deque()

    async def connect(self, host: str, port: int) -> None:
        """One more connection."""
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: _Connection(self._answered), host, port
        )
        self.connections.append(connection)
        self._idle.append(connection)

    def send(self, data: bytes, due: float) -> None:
        """Send now or when the next connection is free."""
        if not self._idle:
            self._waiting.append((data, due))
            return
        connection = self._idle.pop()
        connection.due = due
        connection.transport.write(data)

    def _answered(self, connection: _Connection, status: int) -> None:
        self.result.latencies.append(time.perf_counter() - connection.due)
        self.result.refused += status != 200
        connection.due = 0.0
        if status:
            self._idle.append(connection)
        else:
            self.connections.remove(connection)
        if self._waiting and self._idle:
            self.send(*self._waiting.popleft())
        if len(self.result.latencies) == self._total or not self.connections:
            self.over.set()


async def open_loop(
    host: str, port: int, make: Callable[[int], bytes], *, rate: float, seconds: float, connections: int = 64
) -> Result:
    """Send ``make(n)`` at a steady ``rate`` over ``connections``, however slowly the answers come.

    All requests are made before the first leaves: signing them would take as much as answering them.
    """
    requests = [make(number) for number in range(int(rate * seconds))]
    load = _Load(len(requests))
    for _ in range(connections):
        await load.connect(host, port)
    begun = time.perf_counter()
    for number, data in enumerate(requests):
        due = begun + number / rate
        wait = due - time.perf_counter()
        if wait > 0.001:
            await asyncio.sleep(wait)
        load.send(data, due)
    await load.over.wait()
    load.result.seconds = time.perf_counter() - begun
    for connection in load.connections:
        connection.transport.close()
    return load.result
