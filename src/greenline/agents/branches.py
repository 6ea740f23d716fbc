"""Reading the branches of an agent and the history on them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from greenline.agents.models import CALL_COUNT_PERIOD, AgentNotFound, BranchNotFound, VersionNotFound
from greenline.agents.versions import SQL as AGENTS
from greenline.clock import Clock
from greenline.store.pool import Pool, Record
from greenline.store.sql import load_sql

SQL = load_sql(__package__, "branches.sql")

RECENT_VERSIONS: Final = 20


@dataclass(frozen=True, slots=True)
class Branch:
    """A line of versions; ``traffic_percentage`` is its share of new conversations."""

    id: str
    name: str
    agent_id: str
    description: str
    created_at: datetime
    last_committed_at: datetime
    is_archived: bool
    traffic_percentage: float
    parent_branch_id: str | None
    parent_branch_name: str | None
    calls_7d: int


@dataclass(frozen=True, slots=True)
class VersionMetadata:
    """A commit without its content; ``number`` counts from 1 on its branch."""

    id: str
    agent_id: str
    branch_id: str
    description: str
    number: int
    created_at: datetime
    parent_version_id: str | None
    parent_branch_id: str | None


async def list_branches(
    pool: Pool, clock: Clock, workspace_id: str, agent_id: str, *, archived: bool = False, limit: int = 100
) -> tuple[list[Branch], int]:
    """The branches in the order in which they were made, and how many there are. Raises `AgentNotFound`."""
    if not await pool.fetchval(AGENTS["agent_exists"], workspace_id, agent_id):
        raise AgentNotFound
    since = clock.now() - CALL_COUNT_PERIOD
    total = await pool.fetchval(SQL["count_branches"], workspace_id, agent_id, archived)
    rows = await pool.fetch(SQL["list_branches"], workspace_id, agent_id, None, archived, since, limit)
    return [_branch(row) for row in rows], total


async def get_branch(
    pool: Pool, clock: Clock, workspace_id: str, agent_id: str, branch_id: str
) -> tuple[Branch, list[VersionMetadata]]:
    """A branch, archived or not, and its newest versions, the tip first. Raises `BranchNotFound`."""
    since = clock.now() - CALL_COUNT_PERIOD
    show_archived = True
    row = await pool.fetchrow(SQL["list_branches"], workspace_id, agent_id, branch_id, show_archived, since, 1)
    if row is None:
        raise BranchNotFound
    versions = await pool.fetch(SQL["versions_of_branch"], workspace_id, branch_id, RECENT_VERSIONS)
    return _branch(row), [_version(version) for version in versions]


async def get_version_metadata(pool: Pool, workspace_id: str, agent_id: str, version_id: str) -> VersionMetadata:
    """Raises `VersionNotFound`, also for a version of another agent."""
    row = await pool.fetchrow(SQL["version_metadata"], workspace_id, agent_id, version_id)
    if row is None:
        raise VersionNotFound
    return _version(row)


def _branch(row: Record) -> Branch:
    return Branch(**dict(row))


def _version(row: Record) -> VersionMetadata:
    return VersionMetadata(**dict(row))
