"""Reading versions: what a conversation, and everyone else, gets to see of an agent."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from greenline.agents.config import PlatformSettings
from greenline.agents.config.access import AuthSettings, CallLimits
from greenline.agents.config.limits import STORED
from greenline.agents.config.privacy import PrivacyConfig
from greenline.agents.models import Agent, AgentDefinition, AgentVersion, VersionNotFound
from greenline.store.pool import Pool, Record
from greenline.store.sql import load_sql

SQL = load_sql(__package__, "queries.sql")

# What the branches of an agent share: not part of a version (reference: Versioning).
_SHARED = ("auth", "call_limits", "privacy")

# A parsed definition takes about 50 kB.
_CACHED_DEFINITIONS = 256


class _Definitions:
    """The parsed definitions that were used last, by version id; a definition never changes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, AgentDefinition] = OrderedDict()

    async def get(self, pool: Pool, workspace_id: str, version_id: str) -> AgentDefinition:
        kept = self._kept.get(version_id)
        if kept is None:
            config = await pool.fetchval(SQL["definition"], workspace_id, version_id)
            if config is None:  # deleted since its row was read
                raise VersionNotFound
            kept = self._kept[version_id] = AgentDefinition.model_validate(config, context=STORED)
        self._kept.move_to_end(version_id)
        while len(self._kept) > _CACHED_DEFINITIONS:
            self._kept.popitem(last=False)
        return kept


_definitions = _Definitions()


def split(definition: AgentDefinition) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is stored with the version, and what with the agent, as JSON objects."""
    config = definition.model_dump(mode="json")
    platform = config["platform_settings"]
    platform.pop("archived")
    return config, {name: platform.pop(name) for name in _SHARED}


def joined(platform: PlatformSettings, shared: dict[str, Any], *, archived: bool) -> PlatformSettings:
    """The versioned settings with those that the agent's branches share."""
    return platform.model_copy(
        update={
            "auth": AuthSettings.model_validate(shared.get("auth", {})),
            "call_limits": CallLimits.model_validate(shared.get("call_limits", {})),
            "privacy": PrivacyConfig.model_validate(shared.get("privacy", {})),
            "archived": archived,
        }
    )


async def to_version(pool: Pool, workspace_id: str, row: Record | Mapping[str, Any]) -> AgentVersion:
    """The version of a row of ``tip`` or ``version``."""
    definition = await _definitions.get(pool, workspace_id, row["id"])
    return AgentVersion(
        id=row["id"],
        agent_id=row["agent_id"],
        agent_name=row["name"],
        branch_id=row["branch_id"],
        conversation_config=definition.conversation_config,
        platform_settings=joined(definition.platform_settings, row["shared"], archived=row["archived"]),
        workflow=definition.workflow,
    )


async def to_agent(pool: Pool, workspace_id: str, row: Record) -> Agent:
    """The agent of a row of ``tip`` or ``version``."""
    return Agent(
        version=await to_version(pool, workspace_id, row),
        tags=tuple(row["tags"]),
        main_branch_id=row["main_branch_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
