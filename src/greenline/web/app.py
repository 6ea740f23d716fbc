"""Puts the pages into the server, without their weight: NiceGUI is imported when somebody first opens a page.

The import takes about a second and 25 MB, which a server that only answers people and clients never pays. It runs
in a thread, so that webhooks are answered meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from types import TracebackType
from typing import Any, Final, Self

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Match, NoMatchFound, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from greenline.settings import Settings
from greenline.web import session
from greenline.web.control import Control
from greenline.web.scope import EMULATOR, SERVICES

FRAMEWORK: Final = ("/_nicegui", "/_nicegui_ws")
_UNANSWERED: Final = "No response returned."
"""What Starlette's middleware raises where nobody is left to answer."""
HEADERS: Final = {
    "content-security-policy": "frame-ancestors 'none'",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


class Pages:
    """The web pages as an ASGI application; a context manager, which stops what was started."""

    def __init__(self, emulator_url: str | None) -> None:
        self._emulator_url = emulator_url
        self._emulator: Control | None = None
        self._stack = contextlib.AsyncExitStack()
        self._lock = asyncio.Lock()
        self._app: ASGIApp | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI."""
        app = self._app or await self._start()
        # A copy: what the framework notes in its scope (a route for every page) is not for our measures.
        inner = {**scope, SERVICES: scope["app"].state.services, EMULATOR: self._emulator}
        is_gone = False

        async def watched() -> Message:
            nonlocal is_gone
            message = await receive()
            is_gone = is_gone or message["type"] == "http.disconnect"
            return message

        async def guarded(message: Message) -> None:
            if is_gone:
                return
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await app(inner, watched, guarded)
        except RuntimeError as error:
            if not is_gone or str(error) != _UNANSWERED:  # a browser that is closed while it loads is no fault
                raise

    async def _start(self) -> ASGIApp:
        async with self._lock:
            if self._app is None:
                if self._emulator_url is not None:
                    self._emulator = Control(self._emulator_url)
                    self._stack.push_async_callback(self._emulator.aclose)
                framework = await asyncio.to_thread(importlib.import_module, "greenline.web.framework")
                running: contextlib.AbstractAsyncContextManager[ASGIApp] = framework.run()
                self._app = await self._stack.enter_async_context(running)
            return self._app


class PagesRoute(BaseRoute):
    """Every address below some prefixes, for HTTP and WebSocket, with the path as it came."""

    def __init__(self, pages: Pages, prefixes: tuple[str, ...]) -> None:
        self._pages = pages
        self._prefixes = prefixes

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As Starlette's."""
        path = scope.get("path", "")
        mine = any(path == prefix or path.startswith(f"{prefix}/") for prefix in self._prefixes)
        return (Match.FULL if mine and scope["type"] in ("http", "websocket") else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As Starlette's."""
        await self._pages(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> Any:
        """As Starlette's; pages have no names."""
        raise NoMatchFound(name, path_params)


def install(app: FastAPI, settings: Settings) -> Pages:
    """Answer at /console and /phone, if the console is on, and lead there from /.

    The lifespan of ``app`` enters what is returned.
    """
    pages = Pages(settings.emulator_url)
    if settings.console:
        session.install(app)
        first = RedirectResponse("/phone" if settings.emulator_url else "/console")
        app.router.routes.append(Route("/", lambda _: first, include_in_schema=False))
        app.router.routes.append(PagesRoute(pages, ("/phone", "/console", *FRAMEWORK)))
    return pages
