"""What a workspace has set for all of its agents (reference: ``/v1/convai/settings``)."""

from __future__ import annotations

from typing import Any

from greenline.agents.config.base import ConfigModel
from greenline.agents.config.workspace_overrides import InitiationWebhook, Webhooks
from greenline.agents.secrets import check_secrets
from greenline.store.pool import Pool
from greenline.store.sql import load_sql

_sql = load_sql(__package__, "workspace_settings.sql")


class WorkspaceSettings(ConfigModel):
    """The settings. Of ``conversation_initiation_client_data_webhook`` use is made; the others are kept and shown."""

    conversation_initiation_client_data_webhook: InitiationWebhook | None = None
    webhooks: Webhooks | None = Webhooks()
    can_use_mcp_servers: bool | None = None
    rag_retention_period_days: int | None = None
    conversation_embedding_retention_days: int | None = None
    default_livekit_stack: str | None = None


async def read_settings(pool: Pool, workspace_id: str) -> WorkspaceSettings:
    """As they are; the defaults where nothing was set."""
    return WorkspaceSettings.model_validate(await pool.fetchval(_sql["read"], workspace_id) or {})


async def change_settings(pool: Pool, workspace_id: str, changes: WorkspaceSettings) -> WorkspaceSettings:
    """The settings after ``changes``, of which what was set counts; null takes a setting back.

    Raises `greenline.agents.secrets.UnknownSecrets`.
    """
    given: dict[str, Any] = changes.model_dump(mode="json", exclude_unset=True)
    async with pool.acquire() as connection, connection.transaction():
        before = await connection.fetchval(_sql["hold"], workspace_id)
        await check_secrets(connection, workspace_id, given, before=before)
        after = {name: value for name, value in {**before, **given}.items() if value is not None}
        await connection.execute(_sql["write"], workspace_id, after)
    return WorkspaceSettings.model_validate(after)
