"""``greenline demo``: one command, and the shop's agent answers on an emulated WhatsApp."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2

from greenline.store.embedded import EmbeddedPostgres
from support.http import http_client
from support.meta import Emulator, Person
from support.server import START_SECONDS
from support.wait import PATIENCE_SECONDS, until

KEYS = {"OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GROQ_API_KEY", "XAI_API_KEY"}


@dataclass
class Demo:
    """A running demo."""

    process: asyncio.subprocess.Process
    told: str

    @property
    def emulator_url(self) -> str:
        found = re.search(r"(http://\S+)/control/docs", self.told)
        assert found is not None
        return found.group(1)


@contextlib.asynccontextmanager
async def demo(data_dir: Path) -> AsyncIterator[Demo]:
    """`greenline demo` without any model's key, until it has told everything."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith("GREENLINE_") and name not in KEYS
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "greenline", "demo", "--port", "0", "--data-dir", str(data_dir)),
        env=clean,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        told = ""
        async with asyncio.timeout(START_SECONDS):
            while "Stop it" not in told:
                line = (await process.stdout.readline()).decode()
                assert line, told
                told += line
        yield Demo(process, told)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def gone(url: str) -> bool:
    """Whether nothing answers at ``url`` any more."""
    try:
        async with httpx2.AsyncClient(trust_env=False, timeout=5) as http:
            await http.get(f"{url}/healthz")
    except httpx2.TransportError:
        return True
    return False


async def ask(running: Demo, text: str, count: int) -> list[str]:
    """What the demo's person is told after writing ``text``."""
    async with http_client(running.emulator_url) as http:
        number = (await http.get("/control/state")).json()["numbers"][0]["id"]
        phone = Emulator(running.emulator_url, http, {"phone_number_id": number})
        you = Person("person_1", "4915550001234")
        await phone.say(you, text)
        return await phone.told(you, count)


async def test_the_shop_answers_and_everything_ends_together(tmp_path: Path) -> None:
    async with demo(tmp_path) as first:
        assert "the offline model" in first.told
        link = re.search(r"http\S+/console/sign-in\S+", first.told)
        assert link is not None
        assert httpx2.get(link.group(), trust_env=False, timeout=PATIENCE_SECONDS).headers["location"] == "/console"
        [answer] = await ask(first, "When are you open on Saturday?", 1)
        assert answer.startswith("Hi, this is Juno")
        assert "Saturday from 10 am to 4 pm" in answer
        first.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await first.process.wait() == 0
        assert await gone(first.emulator_url)
    async with demo(tmp_path) as second:
        answers = await ask(second, "How much is the Monstera?", 1)
        assert "29 €" in answers[0]


async def test_the_emulator_does_not_outlive_a_killed_demo(tmp_path: Path) -> None:
    async with demo(tmp_path) as running:
        running.process.kill()
        await running.process.wait()

        async def emulator_gone() -> bool:
            return await gone(running.emulator_url)

        await until(emulator_gone)
    database = EmbeddedPostgres(tmp_path)  # it runs on for the next start; here there is none
    await asyncio.to_thread(database.start)
    await asyncio.to_thread(database.stop)
