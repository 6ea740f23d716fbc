"""The way of a call's packets: loss, jitter, copies, a gap, by a seeded chance and in both directions."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

_RTP: Final = range(128, 192)
"""First bytes of RTP and RTCP (RFC 7983); connectivity checks and DTLS pass untouched."""


@dataclass(frozen=True, slots=True)
class Network:
    """What happens to each packet of sound.

    ``loss`` and ``duplicate`` are shares of 1, ``jitter_ms`` is the most that a packet is delayed. Nothing passes for
    ``gap_seconds`` from the moment in which this is set.
    """

    loss: float = 0.0
    duplicate: float = 0.0
    jitter_ms: float = 0.0
    gap_seconds: float = 0.0
    seed: int = 1


class Way:
    """Stands between a call's media and its socket. `set` changes it in the middle of a call."""

    def __init__(self) -> None:
        self._network = Network()
        self._chance = random.Random(1)  # noqa: S311 - repeatable, not secret
        self._gap_until = 0.0
        self._late: set[asyncio.Task[None]] = set()
        self.lost = 0
        self.delayed = 0

    def set(self, network: Network) -> None:
        """From now on packets fare like this."""
        self._network = network
        self._chance = random.Random(network.seed)  # noqa: S311 - as above
        self._gap_until = time.monotonic() + network.gap_seconds

    def install(self, transport: Any) -> None:
        """Stand before what aiortc's ICE transport sends and receives."""
        send, receive = transport._send, transport._recv  # noqa: SLF001 - aiortc has no other place for it
        arrived: asyncio.Queue[bytes | Exception] = asyncio.Queue()

        async def take(data: bytes) -> None:
            arrived.put_nowait(data)

        async def collect() -> None:
            while True:
                try:
                    await self._pass(await receive(), take)
                except ConnectionError as error:
                    arrived.put_nowait(error)
                    return

        collecting: list[asyncio.Task[None]] = []

        async def recv() -> bytes:
            if not collecting:
                collecting.append(asyncio.create_task(collect()))
            found = await arrived.get()
            if isinstance(found, Exception):
                raise found
            return found

        async def sent(data: bytes) -> None:
            await self._pass(data, send)

        transport._send, transport._recv = sent, recv  # noqa: SLF001 - as above

    async def aclose(self) -> None:
        """Drop what is still on its way."""
        for task in list(self._late):
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    async def _pass(self, data: bytes, go: Callable[[bytes], Awaitable[None]]) -> None:
        network = self._network
        if not data or data[0] not in _RTP:
            await go(data)
            return
        if time.monotonic() < self._gap_until or self._chance.random() < network.loss:
            self.lost += 1
            return
        for _ in range(2 if self._chance.random() < network.duplicate else 1):
            delay = self._chance.random() * network.jitter_ms / 1000
            if delay:
                self.delayed += 1
                task = asyncio.create_task(self._go_late(data, delay, go))
                self._late.add(task)
                task.add_done_callback(self._late.discard)
            else:
                await go(data)

    @staticmethod
    async def _go_late(data: bytes, delay: float, go: Callable[[bytes], Awaitable[None]]) -> None:
        await asyncio.sleep(delay)
        try:
            await go(data)
        except ConnectionError:  # the call ended meanwhile
            return
