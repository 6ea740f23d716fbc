"""The HTTP API as one application: routes, documentation, errors, limits."""

from __future__ import annotations

from importlib.metadata import version
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.types import Lifespan

from greenline.api import (
    agent_history,
    agent_hold_audio,
    agent_widget,
    agents,
    conversation_access,
    conversation_socket,
    conversations,
    environments,
    errors,
    health,
    mcp_servers,
    secrets,
    webhook,
    whatsapp_accounts,
    whatsapp_outbound,
    whatsapp_outbound_call,
    workspace_settings,
)
from greenline.api.metrics import metrics
from greenline.api.middleware import Limited, Observed
from greenline.api.pages import Readable
from greenline.settings import Settings

ROUTERS: Final[tuple[APIRouter, ...]] = (
    health.router,
    agent_history.router,
    agent_hold_audio.router,
    agent_widget.router,
    agents.router,
    conversation_access.router,
    conversation_socket.router,
    conversations.router,
    environments.router,
    mcp_servers.router,
    secrets.router,
    whatsapp_accounts.router,
    whatsapp_outbound.router,
    whatsapp_outbound_call.router,
    workspace_settings.router,
)
"""The resources of the API. A router with fixed paths goes before one that takes any id in their place."""

DESCRIPTION: Final = "AI agents on WhatsApp that you host yourself. The key of a workspace goes in `xi-api-key`."
DOCS_FILES: Final = "/docs/files"


def create_api(settings: Settings, lifespan: Lifespan[FastAPI]) -> FastAPI:
    """The application. ``app.state.services`` is set by ``lifespan``."""
    app = FastAPI(
        title="Greenline",
        version=version("greenline"),
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    errors.install(app)
    for router in ROUTERS:
        app.router.routes.extend(router.routes)  # to include it makes its routes anew, at the first request
    app.add_route("/metrics", metrics, include_in_schema=False)
    _add_docs(app)
    app.add_middleware(Limited, settings=settings)
    app.add_middleware(Observed)
    app.add_middleware(Readable)
    webhook.install(app)
    return app


def _add_docs(app: FastAPI) -> None:
    """Serve the documentation page with our own copy of Swagger UI: many servers have no way to the internet."""

    async def docs() -> Response:
        return get_swagger_ui_html(
            openapi_url=app.openapi_url or "",
            title=app.title,
            swagger_js_url=f"{DOCS_FILES}/swagger-ui-bundle.js",
            swagger_css_url=f"{DOCS_FILES}/swagger-ui.css",
            swagger_favicon_url=f"{DOCS_FILES}/favicon.png",
        )

    app.add_api_route("/docs", docs, include_in_schema=False)
    app.mount(DOCS_FILES, StaticFiles(directory=str(files("fastapi_offline") / "static")))
