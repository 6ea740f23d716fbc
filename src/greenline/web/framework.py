"""NiceGUI as an application of its own, with all pages; importing it is slow, see `greenline.web.app`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import structlog
from fastapi import FastAPI
from nicegui import app, binding, ui
from starlette.types import ASGIApp

import greenline.web.console
import greenline.web.phone  # noqa: F401 - pages are registered by the import

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def run() -> AsyncIterator[ASGIApp]:
    """The application while NiceGUI runs. Once in a process."""
    shell = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    binding.MAX_PROPAGATION_TIME = 1.0  # seconds; the framework warns at 10 ms, which any busy machine takes
    ui.run_with(shell, title="Greenline", dark=None, tailwind=False, language="en-US", show_welcome_message=False)
    app.on_page_exception(_failed_page)
    async with shell.router.lifespan_context(shell):
        yield shell


def _failed_page(error: Exception) -> None:
    """What a person sees when a page can't be built: no inside of the server."""
    log.error("web.page_failed", kind=type(error).__name__)
    ui.label("This page could not be shown. The server's log tells why.").classes("gl-empty")
