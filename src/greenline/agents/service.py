"""What can be done with agents. Every change is a new version; versions are never changed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from greenline.agents.merge import merge
from greenline.agents.models import (
    DEFAULT_NAME,
    MAIN,
    MAX_NAME,
    Agent,
    AgentChanges,
    AgentDefinition,
    AgentNotFound,
    AgentVersion,
    BranchNotFound,
    SharedByBranches,
    VersionNotFound,
)
from greenline.agents.past_privacy import end_last, keep_past
from greenline.agents.rules import apply_rules
from greenline.agents.secrets import check_secrets
from greenline.agents.versions import SQL, split, to_agent, to_version
from greenline.clock import Clock
from greenline.ids import new_id
from greenline.store.pool import Connection, Pool, Record

__all__ = [
    "AgentVersion",
    "commit",
    "create",
    "duplicate",
    "get",
    "get_version",
    "live_version",
    "update",
    "whatsapp_accounts",
]


async def get_version(pool: Pool, workspace_id: str, version_id: str) -> AgentVersion:
    """The version with this id. Raises `VersionNotFound`."""
    row = await pool.fetchrow(SQL["version"], workspace_id, version_id)
    if row is None:
        raise VersionNotFound
    return await to_version(pool, workspace_id, row)


async def live_version(pool: Pool, workspace_id: str, agent_id: str, *, branch_id: str | None = None) -> AgentVersion:
    """The version that a new conversation runs: the newest of the branch, or of the main branch.

    Raises `AgentNotFound` or `BranchNotFound`.
    """
    row = await _tip(pool, workspace_id, agent_id, branch_id)
    return await to_version(pool, workspace_id, row)


async def get(
    pool: Pool, workspace_id: str, agent_id: str, *, branch_id: str | None = None, version_id: str | None = None
) -> Agent:
    """The agent at a version, else at the newest of a branch, else of the main branch.

    Raises `AgentNotFound`, `BranchNotFound` or `VersionNotFound`, the last also for a version of another branch.
    """
    row = await _tip(pool, workspace_id, agent_id, branch_id)
    if version_id is not None:
        version = await pool.fetchrow(SQL["version"], workspace_id, version_id)
        strange = version is None or version["agent_id"] != agent_id
        if version is None or strange or (branch_id is not None and version["branch_id"] != branch_id):
            raise VersionNotFound
        row = version
    return await to_agent(pool, workspace_id, row)


async def create(
    pool: Pool,
    clock: Clock,
    workspace_id: str,
    definition: AgentDefinition,
    *,
    name: str | None = None,
    tags: Iterable[str] = (),
    agent_id: str | None = None,
    version_id: str | None = None,
) -> str:
    """The id of a new agent with a first version on its branch `Main`; ids that are not given are made.

    Raises the errors of `apply_rules`, `UnknownSecrets`, and asyncpg's ``UniqueViolationError`` for a given id that
    is taken.
    """
    config, shared = split(apply_rules(definition))
    agent_id, version_id = agent_id or new_id("agent"), version_id or new_id("agtvrsn")
    branch_id, now = new_id("agtbrch"), clock.now()
    archived = definition.platform_settings.archived
    async with pool.acquire() as connection, connection.transaction():
        await check_secrets(connection, workspace_id, config)
        await connection.execute(
            SQL["insert_agent"], agent_id, workspace_id, name or DEFAULT_NAME, list(tags), archived, shared,
            branch_id, workspace_id, now,
        )  # fmt: skip
        await end_last(connection, workspace_id, agent_id, now)
        await connection.execute(
            SQL["insert_branch"], branch_id, workspace_id, agent_id, MAIN, "", version_id, 100.0, now
        )
        await connection.execute(
            SQL["insert_version"], version_id, workspace_id, agent_id, branch_id, 1, config, "", None,
            workspace_id, now,
        )  # fmt: skip
    return agent_id


async def update(
    pool: Pool,
    clock: Clock,
    workspace_id: str,
    agent_id: str,
    changes: AgentChanges,
    *,
    branch_id: str | None = None,
) -> Agent:
    """Commit changes as a new version on a branch, the main one if none is named, and answer with it.

    Commits on one agent queue up: each sees the one before, and versions are numbered without holes. Raises
    `pydantic.ValidationError` with places below ``conversation_config``, ``platform_settings`` or ``workflow``,
    `SharedByBranches`, `AgentNotFound`, `BranchNotFound`, `UnknownSecrets` and the errors of `apply_rules`.
    """
    async with pool.acquire() as connection, connection.transaction():
        agent = await _locked(connection, workspace_id, agent_id)
        branch_id = branch_id or agent["main_branch_id"]
        branch = await connection.fetchrow(SQL["branch_for_commit"], workspace_id, agent_id, branch_id)
        if branch is None:
            raise BranchNotFound
        _check_shared(agent, changes, on_main=branch_id == agent["main_branch_id"])
        definition = _changed(agent, branch, changes)
        now = clock.now()
        name, tags = changes.name or agent["name"], agent["tags"] if changes.tags is None else list(changes.tags)
        config, shared = split(definition)
        await check_secrets(connection, workspace_id, config, before=branch["config"])
        archived = definition.platform_settings.archived
        past = agent["shared"].get("privacy", {})
        await keep_past(connection, workspace_id, agent_id, before=past, after=shared["privacy"], now=now)
        await connection.execute(SQL["update_agent"], workspace_id, agent_id, name, tags, archived, shared, now)
        version_id = await commit(connection, workspace_id, agent_id, branch, config, changes.description, now)
    return await get(pool, workspace_id, agent_id, branch_id=branch_id, version_id=version_id)


async def commit(
    connection: Connection,
    workspace_id: str,
    agent_id: str,
    branch: Record,
    config: dict[str, Any],
    description: str,
    now: datetime,
) -> str:
    """Write the next version of a branch whose agent the transaction has locked; the id of the version.

    ``branch`` is a row of ``branch_for_commit``, ``config`` the stored form of a definition, as `split` gives it.
    """
    version_id = new_id("agtvrsn")
    await connection.execute(
        SQL["insert_version"], version_id, workspace_id, agent_id, branch["id"], branch["number"] + 1, config,
        description, branch["tip_version_id"], workspace_id, now,
    )  # fmt: skip
    await connection.execute(SQL["move_tip"], workspace_id, branch["id"], version_id, now)
    return version_id


async def duplicate(pool: Pool, clock: Clock, workspace_id: str, agent_id: str, *, name: str | None = None) -> str:
    """The id of a copy: every branch that is not archived, at its newest version, and the split of traffic.

    The history of versions is not copied. Raises `AgentNotFound`.
    """
    copy_id, now = new_id("agent"), clock.now()
    async with pool.acquire() as connection, connection.transaction():
        agent = await _locked(connection, workspace_id, agent_id)
        branches = await connection.fetch(SQL["branches_to_copy"], workspace_id, agent_id)
        ids = {branch["id"]: new_id("agtbrch") for branch in branches}
        main_id = ids[agent["main_branch_id"]]
        await connection.execute(
            SQL["insert_agent"], copy_id, workspace_id, name or _name_of_copy(agent["name"]),
            agent["tags"], agent["archived"], agent["shared"], main_id, workspace_id, now,
        )  # fmt: skip
        rest = 100.0 - sum(branch["traffic_percentage"] for branch in branches)
        for branch in branches:
            version_id, branch_id = new_id("agtvrsn"), ids[branch["id"]]
            traffic = branch["traffic_percentage"] + (rest if branch_id == main_id else 0.0)
            await connection.execute(
                SQL["insert_branch"], branch_id, workspace_id, copy_id, branch["name"], branch["description"],
                version_id, traffic, now,
            )  # fmt: skip
            await connection.execute(
                SQL["insert_version"], version_id, workspace_id, copy_id, branch_id, 1, branch["config"], "", None,
                workspace_id, now,
            )  # fmt: skip
    return copy_id


async def whatsapp_accounts(pool: Pool, workspace_id: str, agent_id: str) -> list[Record]:
    """The numbers that the agent answers, with the columns of the account object of the reference."""
    return await pool.fetch(SQL["whatsapp_accounts"], workspace_id, agent_id)


async def workspaces_of_picture(pool: Pool, file_id: str) -> list[str]:
    """The workspaces in which an agent shows an uploaded picture, for callers that show no key."""
    return [row["workspace_id"] for row in await pool.fetch(SQL["workspaces_of_picture"], file_id)]


async def workspaces_of_hold_audio(pool: Pool, file_id: str) -> list[str]:
    """The workspaces in which an agent plays an uploaded recording, for callers that show no key."""
    return [row["workspace_id"] for row in await pool.fetch(SQL["workspaces_of_hold_audio"], file_id)]


async def _tip(pool: Pool, workspace_id: str, agent_id: str, branch_id: str | None) -> Record:
    row = await pool.fetchrow(SQL["tip"], workspace_id, agent_id, branch_id)
    if row is None:
        exists = await pool.fetchval(SQL["agent_exists"], workspace_id, agent_id)
        raise BranchNotFound if exists else AgentNotFound
    return row


async def _locked(connection: Connection, workspace_id: str, agent_id: str) -> Record:
    rows = await connection.fetch(SQL["lock_agents"], workspace_id, [agent_id])
    if not rows:
        raise AgentNotFound
    return rows[0]


def _name_of_copy(name: str) -> str:
    suffix = " (copy)"
    return name[: MAX_NAME - len(suffix)] + suffix


def _check_shared(agent: Record, changes: AgentChanges, *, on_main: bool) -> None:
    renamed = changes.name is not None and changes.name != agent["name"]
    retagged = changes.tags is not None and list(changes.tags) != agent["tags"]
    if not on_main and (renamed or retagged):
        raise SharedByBranches


def _changed(agent: Record, branch: Record, changes: AgentChanges) -> AgentDefinition:
    stored = branch["config"]
    platform = {**stored["platform_settings"], **agent["shared"], "archived": agent["archived"]}
    return apply_rules(
        AgentDefinition.model_validate(
            {
                "conversation_config": merge(stored["conversation_config"], changes.conversation_config or {}),
                "platform_settings": merge(platform, changes.platform_settings or {}),
                "workflow": stored["workflow"] if changes.workflow is None else changes.workflow,
            }
        )
    )
