"""The address of Meta's webhooks: past the layers of the API, which take longer than the webhook itself."""

from __future__ import annotations

from typing import Final, cast

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from greenline.api.deps import AppServices

PATH: Final = "/webhooks/whatsapp"


def install(app: FastAPI) -> None:
    """Answer at `PATH`."""
    app.add_route(PATH, answer, methods=["GET", "POST"], include_in_schema=False)


async def answer(request: Request) -> Response:
    """The handshake, and deliveries where no `Shortcut` stands before the application."""
    return await cast("AppServices", request.app.state.services).whatsapp.webhook(request)


class Shortcut:
    """An application that hands deliveries to the webhook before anything else sees them."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI."""
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        try:
            services = cast("AppServices", self._app.state.services)
            response = await services.whatsapp.webhook(Request(scope, receive))
        except HTTPException as error:
            response = Response(status_code=error.status_code)
        await response(scope, receive, send)
