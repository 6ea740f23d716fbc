"""The MCP servers of a workspace: made, changed, approved, deleted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from greenline.agents.secrets import check_secrets
from greenline.clock import Clock
from greenline.ids import new_id
from greenline.store.pool import Connection, Pool, Record
from greenline.store.sql import load_sql
from greenline.tools.mcp.models import (
    ApprovalPolicy,
    DependentAgent,
    McpServer,
    McpServerConfig,
    McpServerInUse,
    McpServerNotFound,
    ToolApproval,
    ToolApprovalNotFound,
    ToolConfig,
    ToolConfigExists,
    ToolConfigNotFound,
    ToolPolicy,
    tool_hash,
)

_sql: Final = load_sql(__package__, "queries.sql")

_MERGED: Final = ("request_headers", "request_meta")
"""Maps of which a change names some entries: null takes one out, the others stay."""

Change = Callable[[McpServer], McpServer]


@dataclass(frozen=True, slots=True)
class McpServers:
    """The servers of one workspace. Every method but `create` and those that list raises `McpServerNotFound`."""

    pool: Pool
    clock: Clock
    workspace_id: str

    async def create(self, config: McpServerConfig) -> McpServer:
        """A new server. Raises `greenline.agents.secrets.UnknownSecrets`."""
        now = self.clock.now()
        server = McpServer(new_id("mcp"), self.workspace_id, config, {}, now, now)
        stored = config.model_dump(mode="json")
        async with self.pool.acquire() as connection, connection.transaction():
            await check_secrets(connection, self.workspace_id, stored)
            await connection.execute(_sql["insert"], server.id, self.workspace_id, stored, now)
        return server

    async def get(self, server_id: str) -> McpServer:
        """One of them."""
        row = await self.pool.fetchrow(_sql["one"], self.workspace_id, server_id)
        if row is None:
            raise McpServerNotFound
        return _server(row)

    async def all(self) -> list[McpServer]:
        """All of them, the newest first."""
        return [_server(row) for row in await self.pool.fetch(_sql["all"], self.workspace_id)]

    async def agents(self, server_ids: Collection[str]) -> dict[str, list[DependentAgent]]:
        """The agents that use each of the servers at the newest version of a branch."""
        return await _agents(self.pool, self.workspace_id, server_ids)

    async def update(self, server_id: str, changes: Mapping[str, Any]) -> McpServer:
        """Change fields of the configuration; null gives a field its default.

        Raises pydantic's ``ValidationError`` and `greenline.agents.secrets.UnknownSecrets`.
        """

        def change(server: McpServer) -> McpServer:
            before = server.config.model_dump(mode="json")
            merged = {name: {**before[name], **(changes.get(name) or {})} for name in _MERGED if changes.get(name)}
            return replace(server, config=McpServerConfig.model_validate({**before, **changes, **merged}))

        return await self._change(server_id, change)

    async def set_policy(self, server_id: str, policy: ApprovalPolicy) -> McpServer:
        """Change who has to approve calls."""
        return await self.update(server_id, {"approval_policy": policy})

    async def delete(self, server_id: str) -> None:
        """Delete a server that no agent uses. Raises `McpServerInUse` with the names of those that do."""
        async with self.pool.acquire() as connection, connection.transaction():
            if await connection.fetchrow(_sql["lock"], self.workspace_id, server_id) is None:
                raise McpServerNotFound
            found = await _agents(connection, self.workspace_id, [server_id])
            if users := found[server_id]:
                names = ", ".join(agent.name for agent in users)
                raise McpServerInUse(
                    f"This MCP server is used by {names}. Take it out of their mcp_server_ids first.",
                    agent_ids=[agent.id for agent in users],
                )
            await connection.execute(_sql["delete"], self.workspace_id, server_id)

    async def approve(
        self, server_id: str, tool_name: str, description: str, schema: Mapping[str, Any], policy: ToolPolicy
    ) -> McpServer:
        """Keep what is to be done with a tool that looks exactly so."""
        made = ToolApproval(
            tool_name=tool_name, tool_hash=tool_hash(tool_name, description, schema), approval_policy=policy
        )

        def change(server: McpServer) -> McpServer:
            others = [item for item in server.config.tool_approval_hashes if item.tool_name != tool_name]
            config = server.config.model_copy(update={"tool_approval_hashes": [*others, made]})
            definition = {"description": description, "input_schema": dict(schema)}
            return replace(server, config=config, approved={**server.approved, tool_name: definition})

        return await self._change(server_id, change)

    async def disapprove(self, server_id: str, tool_name: str) -> McpServer:
        """Forget the approval of a tool. Raises `ToolApprovalNotFound`."""

        def change(server: McpServer) -> McpServer:
            if server.config.approval_of(tool_name) is None:
                raise ToolApprovalNotFound
            others = [item for item in server.config.tool_approval_hashes if item.tool_name != tool_name]
            config = server.config.model_copy(update={"tool_approval_hashes": others})
            approved = {name: item for name, item in server.approved.items() if name != tool_name}
            return replace(server, config=config, approved=approved)

        return await self._change(server_id, change)

    async def tool_config(self, server_id: str, tool_name: str) -> ToolConfig:
        """What a tool has of its own. Raises `ToolConfigNotFound`."""
        return _config_of(await self.get(server_id), tool_name)

    async def create_tool_config(self, server_id: str, config: ToolConfig) -> McpServer:
        """Give a tool a configuration of its own. Raises `ToolConfigExists`."""

        def change(server: McpServer) -> McpServer:
            if server.config.config_of(config.tool_name) is not None:
                raise ToolConfigExists
            return _with_configs(server, [*server.config.tool_config_overrides, config])

        return await self._change(server_id, change)

    async def update_tool_config(self, server_id: str, tool_name: str, changes: Mapping[str, Any]) -> McpServer:
        """Change fields of a tool's configuration. Raises `ToolConfigNotFound` and pydantic's ``ValidationError``."""

        def change(server: McpServer) -> McpServer:
            before = _config_of(server, tool_name).model_dump(mode="json")
            changed = ToolConfig.model_validate({**before, **changes, "tool_name": tool_name})
            configs = server.config.tool_config_overrides
            return _with_configs(server, [changed if item.tool_name == tool_name else item for item in configs])

        return await self._change(server_id, change)

    async def delete_tool_config(self, server_id: str, tool_name: str) -> McpServer:
        """Let a tool be as its server again. Raises `ToolConfigNotFound`."""

        def change(server: McpServer) -> McpServer:
            gone = _config_of(server, tool_name)
            return _with_configs(server, [item for item in server.config.tool_config_overrides if item is not gone])

        return await self._change(server_id, change)

    async def _change(self, server_id: str, change: Change) -> McpServer:
        async with self.pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(_sql["lock"], self.workspace_id, server_id)
            if row is None:
                raise McpServerNotFound
            changed = replace(change(_server(row)), updated_at=self.clock.now())
            stored = changed.config.model_dump(mode="json")
            await check_secrets(connection, self.workspace_id, stored, before=row["config"])
            await connection.execute(
                _sql["update"], self.workspace_id, server_id, stored, dict(changed.approved), changed.updated_at
            )
        return changed


async def find_servers(pool: Pool, workspace_id: str, server_ids: Sequence[str]) -> list[McpServer]:
    """Those of the ids that are servers of the workspace, in the order of the ids."""
    if not server_ids:
        return []
    rows = {row["id"]: row for row in await pool.fetch(_sql["some"], workspace_id, list(server_ids))}
    return [_server(rows[server_id]) for server_id in dict.fromkeys(server_ids) if server_id in rows]


def _server(row: Record) -> McpServer:
    return McpServer(
        id=row["id"],
        workspace_id=row["workspace_id"],
        config=McpServerConfig.model_validate(row["config"]),
        approved=row["approved"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _config_of(server: McpServer, tool_name: str) -> ToolConfig:
    config = server.config.config_of(tool_name)
    if config is None:
        raise ToolConfigNotFound
    return config


def _with_configs(server: McpServer, configs: list[ToolConfig]) -> McpServer:
    return replace(server, config=server.config.model_copy(update={"tool_config_overrides": configs}))


async def _agents(
    pool: Pool | Connection, workspace_id: str, server_ids: Collection[str]
) -> dict[str, list[DependentAgent]]:
    found: dict[str, list[DependentAgent]] = {server_id: [] for server_id in server_ids}
    for row in await pool.fetch(_sql["agents"], workspace_id, list(server_ids)):
        found[row["server_id"]].append(DependentAgent(row["id"], row["name"], row["created_at"]))
    return found
