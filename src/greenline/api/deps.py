"""What every route can ask for: the parts of the server, and the workspace of the caller.

::

    @router.get("/v1/things")
    async def list_things(services: Services, workspace: Caller) -> list[Thing]: ...
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from greenline.api.auth import authenticate
from greenline.api.lifecycle import Lifecycle
from greenline.channels.livekit.service import Rooms
from greenline.channels.socket.service import Sockets
from greenline.channels.whatsapp.graph import GraphClient
from greenline.channels.whatsapp.service import WhatsApp
from greenline.clock import Clock
from greenline.llm.models import LanguageModels
from greenline.settings import Settings
from greenline.store.objects import Objects
from greenline.store.pool import Pool
from greenline.store.vault import Vault
from greenline.store.wakeups import Wakeups
from greenline.tools.mcp.toolbox import Mcp
from greenline.workspaces.keyring import Keyring
from greenline.workspaces.models import Workspace


@dataclass(frozen=True)
class AppServices:
    """The parts of a running server. Made by `greenline.server`, and by nobody else."""

    settings: Settings
    clock: Clock
    pool: Pool
    wakeups: Wakeups
    vault: Vault
    keyring: Keyring
    graph: GraphClient
    models: LanguageModels
    mcp: Mcp
    objects: Objects
    whatsapp: WhatsApp
    sockets: Sockets
    rooms: Rooms
    lifecycle: Lifecycle


def get_services(request: Request) -> AppServices:
    """The parts of the server that answers the request."""
    return cast("AppServices", request.app.state.services)


Services = Annotated[AppServices, Depends(get_services)]
Caller = Annotated[Workspace, Depends(authenticate)]
