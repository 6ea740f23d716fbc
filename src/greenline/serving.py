"""One server process: listens, tells when it is ready, and leaves in order.

At SIGTERM or SIGINT ``/readyz`` turns 503 and the workers take nothing new, while HTTP is still answered: what
Meta delivers meanwhile is kept for the next process. When the running work has ended, or its time is over, the
connections are closed and the store last. A second signal leaves at once; nothing is lost by that, since a restart
at any instant is normal operation.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Final

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI

from greenline.api.deps import AppServices
from greenline.api.webhook import Shortcut
from greenline.errors import ConfigurationError
from greenline.server import create_app
from greenline.settings import Settings

log = structlog.get_logger(__name__)

COLLECTOR_THRESHOLDS: Final = (20_000, 20, 50)
"""Python's are (700, 10, 10)."""
ROOM_TO_REFUSE: Final = 2
"""A message on a socket may be so many times too large to be told so; beyond that the connection ends with 1009."""
WORK_SHARE: Final = 0.8
"""Part of the drain time that running work has; connections and the store get the rest."""
KEEP_ALIVE_SECONDS: Final = 65
"""Above the minute after which common proxies close: a connection that the server closes may just be in use."""

GONE_SECONDS: Final = 120
"""A peer that takes nothing for so long is gone: a connection that is being closed has no other limit, and one that
only pretends to be there would hold it for ever. Connections have it from their listener (tcp(7), TCP_USER_TIMEOUT).
"""


class AddressInUse(ConfigurationError):
    """The server can't listen there. Another program may use the port: choose one with --port."""

    code = "address_in_use"


class HttpServer(uvicorn.Server):
    """uvicorn without signal handlers of its own; ``listening`` is set when requests are answered."""

    def __init__(self, app: FastAPI, *, message_bytes: int, close_seconds: float = 2.0) -> None:
        """``message_bytes``: a message on a WebSocket that is larger is cut off while it comes."""
        super().__init__(
            uvicorn.Config(
                Shortcut(app),
                http="httptools",
                proxy_headers=False,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                ws_max_size=message_bytes,
                ws_per_message_deflate=False,  # 15 kB from anybody would be 16 MB here, before they are judged
                timeout_graceful_shutdown=max(1, round(close_seconds)),
            )
        )
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's."""
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to whoever runs the process."""
        yield


def run(settings: Settings) -> None:
    """Serve until a signal. Raises `greenline.errors.GreenlineError` when the server can't start."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, _announce))


async def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until a signal; ``announce`` gets the URL when requests are answered."""
    listener = bind(settings.host, settings.port)
    loop = asyncio.get_running_loop()
    leave = asyncio.Event()
    me = asyncio.current_task()
    assert me is not None  # noqa: S101 - a coroutine runs in a task
    started = False

    def signalled(number: signal.Signals) -> None:
        log.info("server.signal", signal=number.name)
        if leave.is_set() or not started:
            me.cancel()
        leave.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled, number)
    app = create_app(settings)
    try:
        async with app.router.lifespan_context(app):
            http = HttpServer(
                app,
                message_bytes=ROOM_TO_REFUSE * settings.socket_message_max_bytes,
                close_seconds=settings.drain_seconds * (1 - WORK_SHARE) / 2,
            )
            running = asyncio.create_task(http.serve([listener]))
            await _listening(http, running)
            started = True
            _rest_the_collector()
            announce(_url(settings.host, listener.getsockname()[1]))
            await _leave_in_order(app.state.services, http, running, leave)
    except asyncio.CancelledError:
        if not leave.is_set():
            raise
        log.warning("server.left_at_once")
    finally:
        listener.close()
    log.info("server.stopped")


def _rest_the_collector() -> None:
    """Look for cyclic garbage more seldom, and never at what the start has made and the process keeps.

    At the default of 700 new objects the collector took a fifth of the time of a server with many requests, each of
    which makes thousands of objects that die without it. A start that did without it altogether leaves no garbage
    that could be measured.
    """
    gc.freeze()
    gc.enable()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


def bind(host: str, port: int) -> socket.socket:
    """A socket on the address, found out before anything is started. Raises `AddressInUse`."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # not on macOS
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_SECONDS * 1000)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise AddressInUse(
            f"The server can't listen on {host}:{port}: {error}. Choose another --host or --port."
        ) from error
    return listener


async def _listening(http: HttpServer, running: asyncio.Task[None]) -> None:
    """Wait until requests are answered. Raises what kept the server from it."""
    waiting = asyncio.create_task(http.listening.wait())
    await asyncio.wait((waiting, running), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if running.done():
        await running


async def _leave_in_order(
    services: AppServices, http: HttpServer, running: asyncio.Task[None], leave: asyncio.Event
) -> None:
    try:
        await leave.wait()
        log.info("server.draining")
        await services.lifecycle.drain(services.settings.drain_seconds * WORK_SHARE)
    except asyncio.CancelledError:
        http.force_exit = True
        raise
    finally:
        http.should_exit = True
        await running


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _announce(url: str) -> None:
    sys.stdout.write(f"ready {url}\n")
    sys.stdout.flush()
