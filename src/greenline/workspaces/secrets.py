"""Workspace secrets: named values that agents refer to by id, and that nobody can read back.

A value is sealed with the id of its row and workspace as context, so a row that was copied opens nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from greenline.clock import Clock
from greenline.errors import BadRequest, NotFound
from greenline.ids import new_id
from greenline.store import cursor as cursors
from greenline.store.pool import Connection, Pool, Record
from greenline.store.sql import load_sql
from greenline.store.vault import Vault

ORDER: Final = "secrets"
AGENTS_ORDER: Final = "secret_agents"

_sql = load_sql(__package__, "secrets.sql")


class SecretNotFound(NotFound):
    """The workspace has no secret with this id."""

    code = "secret_not_found"


class SecretInUse(BadRequest):
    """Agents, MCP servers, environment variables or settings use this secret. Take it out there first."""

    code = "secret_in_use"


@dataclass(frozen=True, slots=True)
class User:
    """An agent, or an MCP server, that uses a secret."""

    id: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret as it can be shown: without its value. ``has_more``: more agents use it than ``agents`` tells."""

    id: str
    name: str
    created_at: datetime
    agents: tuple[User, ...] = ()
    has_more: bool = False
    mcp_servers: tuple[User, ...] = ()


async def create(pool: Pool, vault: Vault, clock: Clock, workspace_id: str, *, name: str, value: str) -> str:
    """The id of a new secret. Names may repeat: agents refer to the id."""
    secret_id = new_id("secret")
    sealed = vault.seal(value, _context(workspace_id, secret_id))
    await pool.execute(_sql["insert"], secret_id, workspace_id, name, sealed, clock.now())
    return secret_id


async def update(
    pool: Pool, vault: Vault, clock: Clock, workspace_id: str, secret_id: str, *, name: str, value: str
) -> None:
    """Replace name and value; agents use the new value from their next request on. Raises `SecretNotFound`."""
    sealed = vault.seal(value, _context(workspace_id, secret_id))
    if await pool.fetchval(_sql["update"], workspace_id, secret_id, name, sealed, clock.now()) is None:
        raise SecretNotFound


async def get(pool: Pool, workspace_id: str, secret_id: str, *, preview: int) -> Secret:
    """A secret with up to ``preview`` of the agents that use it. Raises `SecretNotFound`."""
    row = await pool.fetchrow(_sql["one"], workspace_id, secret_id)
    if row is None:
        raise SecretNotFound
    return (await _with_users(pool, workspace_id, [row], preview))[0]


async def list_secrets(
    pool: Pool,
    workspace_id: str,
    *,
    search: str | None = None,
    page_size: int | None = None,
    cursor: str | None = None,
    preview: int,
) -> tuple[list[Secret], str | None]:
    """A page of secrets, the newest first, and the cursor of the next one; all of them without a ``page_size``.

    Raises `greenline.store.cursor.InvalidCursor`.
    """
    limit = None if page_size is None else page_size + 1
    rows = await pool.fetch(_sql["page"], workspace_id, search, *_after(cursor, ORDER), limit)
    shown = rows[:page_size]
    more = len(rows) > len(shown)
    return await _with_users(pool, workspace_id, shown, preview), _cursor(shown[-1], ORDER) if more else None


async def list_agents(
    pool: Pool, workspace_id: str, secret_id: str, *, page_size: int, cursor: str | None = None
) -> tuple[list[User], str | None]:
    """A page of the agents that use a secret, and the cursor of the next one.

    Raises `SecretNotFound` or `greenline.store.cursor.InvalidCursor`.
    """
    after = _after(cursor, AGENTS_ORDER)
    if await pool.fetchrow(_sql["one"], workspace_id, secret_id) is None:
        raise SecretNotFound
    rows = await pool.fetch(_sql["agents"], workspace_id, [secret_id], page_size + 1, *after)
    shown = rows[:page_size]
    return [_user(row) for row in shown], _cursor(shown[-1], AGENTS_ORDER) if len(rows) > page_size else None


async def delete(pool: Pool, workspace_id: str, secret_id: str) -> None:
    """Delete a secret that no agent uses at the newest version of a branch, nor anything else of the workspace.

    Raises `SecretNotFound`, and `SecretInUse` with the names of its users.
    """
    async with pool.acquire() as connection, connection.transaction():
        if await connection.fetchval(_sql["lock"], workspace_id, secret_id) is None:
            raise SecretNotFound
        rows = await connection.fetch(_sql["agents"], workspace_id, [secret_id], 20, None, None)
        servers = await connection.fetch(_sql["mcp_servers"], workspace_id, [secret_id])
        labels = [row["label"] for row in await connection.fetch(_sql["variables"], workspace_id, secret_id)]
        users = [row["name"] for row in rows]
        users += [f"the MCP server {row['name']}" for row in servers]
        users += [f"the environment variable {label}" for label in labels]
        if await connection.fetchval(_sql["settings"], workspace_id, secret_id):
            users.append("the webhook for start data in the settings of the workspace")
        if users:
            raise SecretInUse(
                f"This secret is used by {', '.join(users)}. Take it out there first.",
                agent_ids=[row["id"] for row in rows],
            )
        await connection.execute(_sql["delete"], workspace_id, secret_id)


async def hold(connection: Connection, workspace_id: str, secret_ids: Collection[str]) -> set[str]:
    """Those of the ids that are secrets of the workspace, kept from deletion until the transaction ends."""
    if not secret_ids:
        return set()
    return {row["id"] for row in await connection.fetch(_sql["hold"], workspace_id, list(secret_ids))}


async def reveal(
    pool: Pool | Connection, vault: Vault, workspace_id: str, secret_ids: Iterable[str]
) -> Mapping[str, str]:
    """The values of secrets by id, for a request that needs them; ids that are not there are left out.

    Raises `greenline.store.vault.SecretUnreadable`.
    """
    wanted = list(secret_ids)
    if not wanted:
        return {}
    rows = await pool.fetch(_sql["values"], workspace_id, wanted)
    return {row["id"]: vault.open(row["value"], _context(workspace_id, row["id"])) for row in rows}


async def _with_users(pool: Pool, workspace_id: str, rows: Sequence[Record], preview: int) -> list[Secret]:
    used: dict[str, list[User]] = {row["id"]: [] for row in rows}
    servers: dict[str, list[User]] = {row["id"]: [] for row in rows}
    if used:
        for row in await pool.fetch(_sql["agents"], workspace_id, list(used), preview + 1, None, None):
            used[row["secret_id"]].append(_user(row))
        for row in await pool.fetch(_sql["mcp_servers"], workspace_id, list(used)):
            servers[row["secret_id"]].append(_user(row))
    return [
        Secret(
            id=row["id"],
            name=row["name"],
            created_at=row["created_at"],
            agents=tuple(used[row["id"]][:preview]),
            has_more=len(used[row["id"]]) > preview,
            mcp_servers=tuple(servers[row["id"]]),
        )
        for row in rows
    ]


def _context(workspace_id: str, secret_id: str) -> str:
    return f"secret:{workspace_id}:{secret_id}"


def _user(row: Record) -> User:
    return User(row["id"], row["name"], row["created_at"])


def _cursor(row: Record, order: str) -> str:
    return cursors.encode(order, cursors.from_moment(row["created_at"]), row["id"])


def _after(cursor: str | None, order: str) -> tuple[datetime | None, str | None]:
    """The sort key of the last row of the page before. Raises `InvalidCursor`."""
    if cursor is None:
        return None, None
    microseconds, last_id = cursors.decode(cursor, order, int, str)
    return cursors.to_moment(microseconds), last_id
