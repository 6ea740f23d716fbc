"""Settings of the workspace for all of its agents over HTTP (reference: settings)."""

from __future__ import annotations

from fastapi import APIRouter

from greenline.agents.workspace_settings import WorkspaceSettings, change_settings, read_settings
from greenline.api.deps import Caller, Services
from greenline.api.refusing import refusing

router = APIRouter(prefix="/v1/convai/settings", tags=["Settings"])


@router.get("")
async def get_settings(services: Services, workspace: Caller) -> WorkspaceSettings:
    """The settings of the workspace."""
    return await read_settings(services.pool, workspace.id)


@router.patch("")
async def update_settings(body: WorkspaceSettings, services: Services, workspace: Caller) -> WorkspaceSettings:
    """Change settings of the workspace; null takes one back, and what is left out stays."""
    with refusing():
        return await change_settings(services.pool, workspace.id, body)
