"""The server is killed before and after every step of a message's way, restarted, and loses and repeats nothing.

Counted at the emulator, by the person: every message has its answer, each answer came once, in order.
"""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from greenline.checkpoints import NAMES
from support.meta import Emulator, Person, emulator
from support.server import ServeProcess

KEY = "gl_kill_anywhere"
PROMPT = r"offline: when ^(.+)$ -> say You said \1"
PEOPLE, MESSAGES = 3, 3
RETRIES = [0.1, 0.2, 0.4, 0.8] + [1.0] * 60


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.asynccontextmanager
async def server(
    meta: Emulator, dsn: str, data_dir: Path, port: int, crash: tuple[str, int] | None = None
) -> AsyncIterator[ServeProcess]:
    """`greenline serve` on a fixed port; with ``crash`` it dies at the nth passage of a checkpoint."""
    arguments = ["serve", "--port", str(port), "--data-dir", str(data_dir)]
    script = str(Path(__file__).parents[1] / "support" / "crashing_server.py")
    command = [script, crash[0], str(crash[1]), *arguments] if crash else ["-m", "greenline", *arguments]
    environment = {
        **meta.settings(),
        "GREENLINE_DATABASE_URL": dsn,
        "GREENLINE_API_KEY": KEY,
        "GREENLINE_LEASE_SECONDS": "2",
        "GREENLINE_UNKNOWN_OUTCOME_GRACE_SECONDS": "4",
        "GREENLINE_PAIR_BURST": "30",
        "GREENLINE_LOG_LEVEL": "warning",
        "GREENLINE_DRAIN_SECONDS": "3",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    running = ServeProcess(process)
    try:
        yield await running.ready()
    finally:
        if process.returncode is None:
            process.kill()
        await running.ended()


async def converse(meta: Emulator, person: Person) -> None:
    """A person writes, waits for the answer, and writes again."""
    for number in range(1, MESSAGES + 1):
        await meta.say(person, f"message {number}")
        await meta.told(person, number, seconds=45.0)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("passage", [1, 2])
@pytest.mark.parametrize("point", NAMES)
async def test_killed_at(point: str, passage: int, dsn: str, tmp_path: Path) -> None:
    port = free_port()
    async with emulator(webhook_retry_schedule=RETRIES) as meta:
        async with server(meta, dsn, tmp_path, port) as first:
            await meta.furnish(first.url, KEY, PROMPT)
        people = [await meta.person(f"Person {n}", f"1555010{n:04}") for n in range(PEOPLE)]
        talks = asyncio.gather(*(converse(meta, person) for person in people))
        async with server(meta, dsn, tmp_path, port, crash=(point, passage)) as doomed:
            killed = asyncio.create_task(doomed.ended(60))
            await asyncio.wait({killed, talks}, return_when=asyncio.FIRST_COMPLETED)
            died = killed.done()
            if not died:
                killed.cancel()
        assert died or point == "turn.step_saved", f"{point} was passed fewer than {passage} times"
        async with server(meta, dsn, tmp_path, port):
            await talks
            for person in people:
                assert await meta.answers(person) == [f"You said message {n}" for n in range(1, MESSAGES + 1)]
