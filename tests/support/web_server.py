"""An ASGI application behind a real HTTP server in the loop of the test."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from support.wait import eventually

LEAVING_SECONDS: Final = 0.1
"""How long clients that have gone are waited for before uvicorn's own, slower end of those that stay begins."""


class WebServer(uvicorn.Server):
    """Ends when it is asked to. uvicorn's own looks whether it shall each tenth of a second, and then waits another
    one for its clients: of hundreds of servers that is a minute."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Have the server end."""
        self._ending.set()

    async def main_loop(self) -> None:
        """Until `end`."""
        await self.on_tick(0)
        await self._ending.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """At once where nobody is connected any more and nothing runs."""
        with contextlib.suppress(TimeoutError):
            await eventually(self._is_left, seconds=LEAVING_SECONDS)
        if not self._is_left():
            await super().shutdown(sockets)
            return
        for server in self.servers:
            server.close()
            await server.wait_closed()
        await self.lifespan.shutdown()

    def _is_left(self) -> bool:
        return not self.server_state.connections and not self.server_state.tasks


@contextlib.asynccontextmanager
async def web_server(app: ASGIApp, port: int = 0, **options: Any) -> AsyncIterator[tuple[WebServer, str]]:
    """The application on a port of loopback, a free one unless it is named, and its address."""
    listener = socket.create_server(("127.0.0.1", port))
    server = WebServer(uvicorn.Config(app, log_config=None, **{"timeout_graceful_shutdown": 2, **options}))
    running = asyncio.create_task(server._serve([listener]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    try:
        yield server, f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.end()
        await running
