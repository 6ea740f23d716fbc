"""What all bots of the voice benchmarks share: the script of a conversation, and signalling.

Imported in the environments of the baselines too: nothing but the standard library here.

A bot is a process that prints ``ready PORT`` and takes JSON lines on that port of loopback. The first line of a
connection is the offer of a call with its options, answered with the bot's session description. Each further line
asks for figures. The call lasts as long as the connection; one without an offer only asks how many tasks there are.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import random
import signal
import struct
import time
from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

RATE = 16_000
RECOGNITION_SECONDS = 0.06
MODEL_SECONDS = 0.1
SYNTHESIS_SECONDS = 0.04
SCRIPTED_SECONDS = RECOGNITION_SECONDS + MODEL_SECONDS + SYNTHESIS_SECONDS
"""What a scripted provider takes, all of it waited for one after the other."""
ENDPOINT_SECONDS = 0.2
"""Silence that ends a turn."""
BARGE_IN_SECONDS = 0.1
"""Voice that interrupts the bot."""
QUESTION = "What are your opening hours?"
ANSWER = "We open at nine on weekdays."
DETECTION_PHASES_MS = (0, 4, 8, 12, 16, 20, 24, 28)
"""Where in a window of 32 ms a voice that comes in packets of 20 ms may begin."""
PACKET_SECONDS = 0.02
TRAIL_PACKETS = 5
"""Packets of silence that are encoded behind the question, so that all of it comes out of the encoder."""
QUIET_SECONDS = 0.3
"""Silence that separates a sound from the one before."""
LOUD = 600
"""Samples above are sound, below silence or the trace that Opus leaves of it."""


class Call(Protocol):
    """One call of a bot."""

    async def answer(self, offer: str) -> str:
        """The bot's session description."""
        ...

    def figures(self) -> dict[str, Any]:
        """What the bot knows of the call."""
        ...

    async def close(self) -> None:
        """The caller hung up."""
        ...


async def serve(make: Callable[[dict[str, Any]], Call]) -> None:
    """Take calls until SIGTERM, and see their ends. ``make`` gets the options of a call."""
    running: set[asyncio.Task[None]] = set()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        task.add_done_callback(running.discard)
        options = json.loads(await reader.readline())
        if "sdp" not in options:
            gc.collect()
            _write(writer, {"tasks": len(asyncio.all_tasks())})
            writer.close()
            return
        call = make(options)
        try:
            _write(writer, {"sdp": await call.answer(options["sdp"])})
            while await reader.readline():
                _write(writer, call.figures())
        finally:
            await call.close()
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0, limit=2**20)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    print(f"ready {server.sockets[0].getsockname()[1]}", flush=True)
    await stopped.wait()
    server.close()
    if running:
        await asyncio.wait(running, timeout=10)


def _write(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    writer.write(json.dumps(message).encode() + b"\n")


@cache
def tone(seconds: float) -> bytes:
    """What a scripted voice says: 16-bit PCM of `RATE`, loud from its first sample."""
    count = int(seconds * RATE)
    return struct.pack(f"<{count}h", *(int(8000 * math.cos(2 * math.pi * 440 * n / RATE)) for n in range(count)))


def mean_decay(pcm: bytes, last_voice: Callable[[bytes], float]) -> float:
    """Seconds from the last packet with voice to the one that brings the last window ``last_voice`` takes for voice.

    The mean over `DETECTION_PHASES_MS`. ``pcm`` has gone through the codec, its voice ends with a packet, behind it
    are `TRAIL_PACKETS`. ``last_voice`` gives seconds from the beginning of its sound. A detector that is fed by
    packets has the end of a window no sooner than the packet that it is in.
    """
    found = []
    for phase in DETECTION_PHASES_MS:
        before = bytes((1000 + phase) * RATE // 1000 * 2)
        ended = len(before + pcm) / 2 / RATE - TRAIL_PACKETS * PACKET_SECONDS
        window = last_voice(before + pcm + bytes(RATE * 2)) - ended
        found.append(math.ceil(round(window / PACKET_SECONDS, 6)) * PACKET_SECONDS)
    return sum(found) / len(found)


class Onsets:
    """When sound began in a stream of pieces, by ``time.monotonic``."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self._loud_at = 0.0

    def hear(self, pcm: bytes) -> None:
        """The next piece."""
        if is_loud(pcm):
            now = time.monotonic()
            if now - self._loud_at > QUIET_SECONDS:
                self.times.append(now)
            self._loud_at = now


@cache
def story() -> bytes:
    """Two seconds of sound that change all the time, so that Opus has its work: 16-bit PCM of `RATE`."""
    chance = random.Random(1)
    wave = (4000 * math.sin(2 * math.pi * (200 + n / 80) * n / RATE) + chance.gauss(0, 800) for n in range(2 * RATE))
    return struct.pack(f"<{2 * RATE}h", *(int(sample) for sample in wave))


def is_loud(pcm: bytes) -> bool:
    """Whether there is sound in 16-bit PCM."""
    samples = memoryview(pcm).cast("h")
    return bool(samples) and (max(samples) > LOUD or min(samples) < -LOUD)
