"""The server as its clients meet it: on a port of this process, or as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI

from greenline.api.deps import AppServices
from greenline.clock import Clock
from greenline.server import create_app
from greenline.settings import Settings
from support.fork_server import ForkedProcess, start
from support.wait import PATIENCE_SECONDS
from support.web_server import web_server


@dataclass(frozen=True)
class RunningServer:
    """A server on a port of this process. ``api_key`` opens the default workspace."""

    url: str
    app: FastAPI
    api_key: str

    @property
    def services(self) -> AppServices:
        """The parts of the server."""
        return cast("AppServices", self.app.state.services)


@contextlib.asynccontextmanager
async def run_server(settings: Settings, clock: Clock) -> AsyncIterator[RunningServer]:
    """A server in the running loop, on a free port of loopback."""
    app = create_app(settings, clock)
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    async with app.router.lifespan_context(app), web_server(app, lifespan="off") as (_, url):
        yield RunningServer(url, app, key)


START_SECONDS = 200.0
"""What a busy machine may take to import a server and to initialise its database."""


@dataclass
class ServeProcess:
    """``greenline serve`` as a process of its own."""

    process: asyncio.subprocess.Process | ForkedProcess
    url: str = ""
    errors: list[str] = field(default_factory=list)

    async def ready(self) -> ServeProcess:
        """Wait for the ready line. Raises ``AssertionError`` with what the process said if it ends without one."""
        assert self.process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            line = (await self.process.stdout.readline()).decode().strip()
        if not line.startswith("ready http://"):
            await self.process.wait()
            await self._reader
            raise AssertionError(f"{line!r}; " + "".join(self.errors))
        self.url = line.removeprefix("ready ")
        return self

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the process, and to no child of it."""
        self.process.send_signal(number)

    async def ended(self, seconds: float = PATIENCE_SECONDS) -> int:
        """The exit status."""
        async with asyncio.timeout(seconds):
            status = await self.process.wait()
            await self._reader
        return status

    async def _read_errors(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.errors.append(line.decode())

    def __post_init__(self) -> None:
        self._reader = asyncio.create_task(self._read_errors())


def as_environment(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings as a process gets them."""
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()}
    return {f"GREENLINE_{name.upper()}": text for name, text in texts.items()}


@contextlib.asynccontextmanager
async def serve_process(
    data_dir: Path, *options: str, environment: Mapping[str, str], fresh: bool = False
) -> AsyncIterator[ServeProcess]:
    """Start ``greenline serve`` on a free port; killed at the end if it still runs. See `start` for ``fresh``."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GREENLINE_")}
    command = ["greenline", "serve", "--port", "0", "--data-dir", str(data_dir), *options]
    running = ServeProcess(await start(*command, environment=clean | dict(environment), fresh=fresh))
    try:
        yield running
    finally:
        if running.process.returncode is None:
            running.process.kill()
        await running.ended()
