"""What all pages of the console share: the sign-in, the head, and how they stay up to date."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog
from nicegui import ui
from starlette.requests import Request

from greenline.api.deps import AppServices
from greenline.api.errors import DATABASE_GONE
from greenline.errors import InvalidApiKey
from greenline.store.outage import OUTAGE
from greenline.web import session
from greenline.web.parts import Tag, box, follow, link
from greenline.web.scope import services_of
from greenline.workspaces.models import Workspace

log = structlog.get_logger(__name__)

REFRESH_SECONDS: Final = 1.0
"""Pages ask again every second. A notification for every message would cost the message's way more than a few open
pages cost the database: each asks one indexed query, and draws only what changed."""
RETRY_SECONDS: Final = 3.0
REFUSALS: Final = {
    "key": "This key is not known, or was revoked.",
    "link": "This link was used before or is too old. Sign in with a key.",
    "database": "The database does not answer. Try again in a moment.",
}
OUT: Final = "new BroadcastChannel('greenline.console').postMessage('out')"
LEAVE: Final = "new BroadcastChannel('greenline.console').onmessage = () => window.location.reload()"
"""A browser that has signed out has done so in all its tabs: each of them holds the sign-in that it began with."""
PLACES: Final = (("Conversations", "/console"), ("Numbers", "/console/numbers"), ("Agents", "/console/agents"))


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody at a page of the console."""

    services: AppServices
    workspace: Workspace
    _cookie: str

    async def is_allowed(self) -> bool:
        """Whether the key of the sign-in still opens the workspace."""
        workspace = await _workspace(self.services, self._cookie)
        return workspace is not None and workspace.id == self.workspace.id


async def visit(request: Request) -> Visit | None:
    """Who is there; None for somebody without a sign-in."""
    services = services_of(request)
    cookie = request.cookies.get(session.COOKIE, "")
    workspace = await _workspace(services, cookie)
    return Visit(services, workspace, cookie) if workspace else None


async def _workspace(services: AppServices, cookie: str) -> Workspace | None:
    key = session.unseal(services.vault, services.clock, cookie)
    try:
        return await services.keyring.authenticate(key) if key else None
    except InvalidApiKey:
        return None


def draw_sign_in(*, refused: str) -> None:
    """The form that asks for the key. It is sent as a form: the answer sets a cookie, which a socket can't."""
    ui.run_javascript(OUT)
    with box("gl-sign-in"), box("gl-card"):
        Tag("h1", "Greenline", "gl-h1")
        Tag("p", "Sign in with an API key of your workspace.", "gl-soft")
        with box(tag="form") as form:
            form.props["method"], form.props["action"] = "post", session.SIGN_IN
            field = box("gl-field", "input")
            field.props("type=password name=key required autofocus autocomplete=current-password")
            field.props["aria-label"] = field.props["placeholder"] = "API key"
            if refused:
                Tag("p", REFUSALS.get(refused, REFUSALS["key"]), "gl-bad").props("role=alert")
            Tag("button", "Sign in", "gl-button").props("type=submit")


def draw_head(visitor: Visit, here: str) -> ui.element:
    """The bar with the places of the console; returns the element for the page's content."""
    ui.run_javascript(LEAVE)
    with box("gl-top", "header"):
        Tag("span", "Greenline", "gl-brand")
        with box("gl-nav", "nav"):
            for name, address in PLACES:
                link(name, address, f"gl-nav-link{' on' if address == here else ''}")
        Tag("span", visitor.workspace.name, "gl-workspace")
        with box(tag="form") as form:
            form.props["method"], form.props["action"] = "post", session.SIGN_OUT
            Tag("button", "Sign out", "gl-quiet").props("type=submit")
    return box("gl-main", "main")


def keep_fresh(visitor: Visit, refresh: Callable[[], Awaitable[None]], *, seconds: float = REFRESH_SECONDS) -> None:
    """Run ``refresh`` every few seconds while the page is open and its person may see it.

    Where that fails, the page says that it is not up to date, until it works again.
    """
    stale = Tag("div", "", "gl-warning gl-stale").props("role=status")
    stale.move(target_index=0)
    stale.set_visibility(False)

    async def wait(why: str) -> None:
        stale.set_text(f"Not up to date: {why}.")
        stale.set_visibility(True)
        await asyncio.sleep(RETRY_SECONDS)

    async def loop() -> None:
        while True:
            try:
                if not await visitor.is_allowed():
                    ui.navigate.to("/console")
                    return
                await refresh()
                stale.set_visibility(False)
                await asyncio.sleep(seconds)
            except (OSError, *DATABASE_GONE) as error:
                OUTAGE.tell(error, "console")
                await wait("the database does not answer")
            except Exception:  # the boundary of a refresh: recorded, told and tried again
                log.exception("web.console_failed")
                await wait("the server's log tells why")

    follow(loop)
