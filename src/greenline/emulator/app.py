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

_METHODS = ["GET", "POST", "DELETE"]


def create_app(**config: Any) -> Starlette:
    """An emulator of its own; ``config`` are values of `greenline.emulator.config.Config`."""
    meta = Meta()
    for name, value in config.items():
        setattr(meta.config, name, value)
    graph = Graph(meta)

    async def call(request: Request) -> Response:
        try:
            return await graph(request)
        except ConnectionReset:
            return _Reset()

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
            Route("/{path:path}", call, methods=_METHODS),
        ],
    )
    app.state.meta = meta
    return app


class _Reset(Response):
    """No answer: the server cuts the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = scope.get("greenline.transport")
        if transport is not None:
            transport.abort()
        raise ConnectionResetError("a fault was set")
