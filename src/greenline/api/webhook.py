"""The address of Meta's webhooks: past the layers of the API, which take longer than the webhook itself."""

from __future__ import annotations

from typing import Final, cast

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from greenline.api.deps import AppServices

PATH: Final = "/webhooks/whatsapp"
_KEPT: Final[Message] = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
_EMPTY: Final[Message] = {"type": "http.response.body", "body": b""}


def install(app: FastAPI) -> None:
    """Answer at `PATH`."""
    app.add_route(PATH, answer, methods=["GET", "POST"], include_in_schema=False)


async def answer(request: Request) -> Response:
    """The handshake, and deliveries where no `Shortcut` stands before the application."""
    try:
        return await cast("AppServices", request.app.state.services).whatsapp.webhook(request)
    except ClientDisconnect as error:
        raise HTTPException(400) from error


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
            refusal = await cast("AppServices", self._app.state.services).whatsapp.webhook.deliver(scope, receive)
        except ClientDisconnect:
            return
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await send(_KEPT)
        await send(_EMPTY)  # a body would be a second write to the socket
