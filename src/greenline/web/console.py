"""The addresses of the console."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from nicegui import app, ui
from starlette.requests import Request
from starlette.responses import Response
from starlette.status import HTTP_401_UNAUTHORIZED

from greenline.api.conversations import get_audio
from greenline.errors import GreenlineError
from greenline.web import console_agents, console_conversation, console_inbox, console_numbers
from greenline.web.console_frame import Visit, draw_head, draw_sign_in, visit
from greenline.web.parts import styled_page

SEARCH_MAX: Final = 200
Draw = Callable[[Visit], Awaitable[None]]


@ui.page("/console", title="Console")
async def inbox_page(request: Request, q: str = "", after: str = "", show: str = "", refused: str = "") -> None:
    """The conversations, or those with the words of ``q``, and of the kind ``show``.

    ``refused``: a ``key`` or a ``link`` did not sign in, or the ``database`` could not tell.
    """
    draw = partial(console_inbox.draw, search=q[:SEARCH_MAX].strip(), after=after, choice=show)
    await _page(request, "Conversations", "/console", draw, refused=refused)


@ui.page("/console/conversations/{conversation_id}", title="Conversation")
async def conversation_page(request: Request, conversation_id: str) -> None:
    """One conversation."""
    await _page(request, "Conversation", "", lambda visitor: console_conversation.draw(visitor, conversation_id))


@app.get("/console/conversations/{conversation_id}/audio")
async def conversation_audio(request: Request, conversation_id: str) -> Response:
    """The recording of a conversation, for the player: as the API serves it, by the sign-in instead of a key."""
    visitor = await visit(request)
    if visitor is None:
        return Response("Sign in at /console.", HTTP_401_UNAUTHORIZED)
    try:
        return await get_audio(conversation_id, request, visitor.services, visitor.workspace)
    except GreenlineError as error:
        return Response(error.message, error.http_status)


@ui.page("/console/numbers", title="Numbers")
async def numbers_page(request: Request) -> None:
    """The WhatsApp numbers."""
    await _page(request, "Numbers", "/console/numbers", console_numbers.draw)


@ui.page("/console/agents", title="Agents")
async def agents_page(request: Request) -> None:
    """The agents."""
    await _page(request, "Agents", "/console/agents", console_agents.draw_list)


@ui.page("/console/agents/{agent_id}", title="Agent")
async def agent_page(request: Request, agent_id: str) -> None:
    """One agent."""
    await _page(request, "Agent", "", lambda visitor: console_agents.draw_one(visitor, agent_id))


async def _page(request: Request, title: str, here: str, draw: Draw, *, refused: str = "") -> None:
    with styled_page(f"{title} · Greenline"):
        visitor = await visit(request)
        if visitor is None:
            draw_sign_in(refused=refused)
            return
        with draw_head(visitor, here):
            await draw(visitor)
