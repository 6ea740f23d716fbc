"""A server that dies by SIGKILL at a step of a message's way."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from support.fork_server import start
from support.meta import Emulator
from support.server import ServeProcess

KEY = "gl_kill_anywhere"
_places = itertools.count(random.SystemRandom().randrange(1_000))
RETRIES = [0.1, 0.2, 0.4, 0.8] + [1.0] * 900


def free_port() -> int:
    """A port that stays free while nobody listens on it.

    It is below those that the kernel gives to connections (ip_local_port_range begins at 32768): one of them would
    be taken by somebody else while a server is dead. Each process of tests has ports of its own.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 20
    while True:
        port = 12_000 + worker * 1_000 + next(_places) % 1_000
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@contextlib.asynccontextmanager
async def doomed_server(
    meta: Emulator,
    dsn: str,
    data_dir: Path,
    port: int,
    crash: tuple[str, int] | None = None,
    *,
    grace: float = 4.0,
    shop: str = "",
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[ServeProcess]:
    """`greenline serve` on a fixed port; with ``crash`` it dies at the nth passage of a checkpoint.

    With ``shop``, the address of a `support.shop`, every agent can order there. ``settings`` are further variables.

    ``grace`` is how long, in seconds, a send of unknown outcome waits for a status while a server takes webhooks.
    """
    arguments = ["serve", "--port", str(port), "--data-dir", str(data_dir)]
    name, passages = crash or ("", 0)
    command = ["support.crashing_server", name, str(passages), shop, *arguments]
    environment = {
        **meta.settings(),
        "GREENLINE_DATABASE_URL": dsn,
        "GREENLINE_API_KEY": KEY,
        "GREENLINE_LEASE_SECONDS": "2",
        "GREENLINE_UNKNOWN_OUTCOME_GRACE_SECONDS": str(grace),
        "GREENLINE_PAIR_BURST": "30",
        "GREENLINE_LOG_LEVEL": "warning",
        "GREENLINE_DRAIN_SECONDS": "3",
        **(settings or {}),
    }
    running = ServeProcess(await start(*command, environment=environment))
    try:
        yield await running.ready()
    finally:
        if running.process.returncode is None:
            running.process.kill()
        await running.ended()
