"""The emulator as one ASGI application: the Graph API, media addresses, the control API."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from greenline.emulator.control import create_control
from greenline.emulator.graph import ConnectionReset, Graph
from greenline.emulator.meta import Meta


def create_app(**config: Any) -> Starlette:
    """An emulator of its own; ``config`` are values of `greenline.emulator.config.Config`."""
    meta = Meta()
    for name, value in config.items():
        setattr(meta.config, name, value)
    graph = Graph(meta)

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await meta.aclose()

    app = Starlette(
        lifespan=lifespan,
        routes=[
            Route("/healthz", health),
            Mount("/control", create_control(meta)),
            Route("/whatsapp_business/attachments/", graph.fetch),
            Route("/{path:path}", _Calls(graph)),
        ],
    )
    app.state.meta = meta
    return app


class _Calls:
    """Graph calls by any method: an ASGI application, as Starlette answers methods that a route does not name."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._graph(Request(scope, receive, send))
        except ConnectionReset:
            response = _Reset()
        await response(scope, receive, send)


class _Reset(Response):
    """No answer: the server cuts the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = scope.get("greenline.transport")
        if transport is not None:
            transport.abort()
        raise ConnectionResetError("a fault was set")
