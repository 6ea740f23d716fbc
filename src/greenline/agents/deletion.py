"""Deleting an agent that others may hand conversations to."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from greenline.agents.models import AgentInUse, AgentNotFound
from greenline.agents.past_privacy import keep_last
from greenline.agents.references import without_agent
from greenline.agents.service import commit
from greenline.agents.versions import SQL
from greenline.clock import Clock
from greenline.store.pool import Connection, Pool

AVATAR_IN_URL: Final = "/v1/convai/agents/[^/]+/avatar/(avatar_[0-9a-z]{26})$"
"""Where the id stands in the URL of an uploaded picture."""


async def delete(pool: Pool, clock: Clock, workspace_id: str, agent_id: str, *, force: bool = False) -> None:
    """Delete an agent with all of its branches and versions; its conversations stay, those in chats end.

    Pictures that it alone showed and recordings that it alone played are orphaned:
    `greenline.conversations.files.erase_orphans` takes them off the disk.
    With ``force``, branches of other agents that use it get a new version without it. Raises `AgentNotFound`, and
    `AgentInUse` with the names of those agents.
    """
    async with pool.acquire() as connection, connection.transaction():
        mentions = await connection.fetch(SQL["tips_that_mention"], workspace_id, agent_id)
        involved = {agent_id, *(row["agent_id"] for row in mentions)}
        locked = await connection.fetch(SQL["lock_agents"], workspace_id, sorted(involved))
        if agent_id not in {row["id"] for row in locked}:
            raise AgentNotFound
        users = {}
        for row in mentions:
            if await _release(connection, workspace_id, row["agent_id"], row["branch_id"], agent_id, clock.now()):
                users[row["agent_id"]] = row["name"]
        if users and not force:
            raise AgentInUse(
                f"This agent is a sub-agent of {', '.join(users.values())}. "
                "Change them first, or delete it with force=true.",
                agent_ids=list(users),
            )
        await keep_last(connection, workspace_id, agent_id)
        await connection.execute(SQL["orphan_pictures"], workspace_id, agent_id, AVATAR_IN_URL)
        await connection.execute(SQL["orphan_hold_audio"], workspace_id, agent_id)
        await connection.execute(SQL["ring_chats"], workspace_id, agent_id, clock.now())
        await connection.execute(SQL["delete_agent"], workspace_id, agent_id)


async def _release(
    connection: Connection, workspace_id: str, user_id: str, branch_id: str, agent_id: str, now: datetime
) -> bool:
    """Commit the branch without the agent; whether it used it. Refusing later rolls the commit back."""
    branch = await connection.fetchrow(SQL["branch_for_commit"], workspace_id, user_id, branch_id)
    config = without_agent(branch["config"], agent_id) if branch is not None else None
    if branch is None or config is None:
        return False
    await commit(connection, workspace_id, user_id, branch, config, f"Without the deleted agent {agent_id}", now)
    return True
