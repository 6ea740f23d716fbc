"""What can be done with workspaces and their API keys.

A key is 256 random bits. The server keeps its SHA-256 and can't show it again; a slow hash would protect guessable
passwords, which these are not.
"""

from __future__ import annotations

import hashlib
import secrets

import structlog

from greenline.clock import Clock
from greenline.ids import new_id
from greenline.store.pool import Connection, Pool, Record
from greenline.store.sql import load_sql
from greenline.text import clean_text
from greenline.workspaces.models import (
    BOOTSTRAP_KEY_ID,
    DEFAULT_ID,
    ApiKey,
    BlankName,
    KeyNotFound,
    KeyOfAnotherWorkspace,
    NewApiKey,
    Workspace,
    WorkspaceNotFound,
)

log = structlog.get_logger(__name__)

_sql = load_sql(__package__, "queries.sql")


async def create(pool: Pool, clock: Clock, name: str) -> Workspace:
    """A new workspace, without keys. Raises `BlankName`."""
    workspace = Workspace(new_id("workspace"), _checked(name), clock.now())
    await pool.execute(_sql["insert_workspace"], workspace.id, workspace.name, workspace.created_at)
    return workspace


async def list_all(pool: Pool) -> list[Workspace]:
    """Every workspace, the oldest first."""
    return [Workspace(**row) for row in await pool.fetch(_sql["workspaces"])]


async def get(pool: Pool, workspace_id: str) -> Workspace:
    """The workspace with this id. Raises `WorkspaceNotFound`."""
    row = await pool.fetchrow(_sql["workspace"], workspace_id)
    if row is None:
        raise WorkspaceNotFound
    return Workspace(**row)


async def create_key(pool: Pool | Connection, clock: Clock, workspace_id: str, name: str) -> NewApiKey:
    """A new key of an existing workspace. Raises `BlankName`."""
    name = _checked(name)
    key = NewApiKey(new_id("key"), f"gl_{secrets.token_urlsafe(32)}")
    digest, hint = hash_key(key.secret), key.secret[-4:]
    await pool.execute(_sql["insert_key"], key.id, workspace_id, name, digest, hint, clock.now())
    return key


async def list_keys(pool: Pool, workspace_id: str) -> list[ApiKey]:
    """The keys of a workspace, revoked ones included, the oldest first."""
    return [_key(row) for row in await pool.fetch(_sql["keys"], workspace_id)]


async def revoke_key(pool: Pool, clock: Clock, workspace_id: str, key_id: str) -> ApiKey:
    """Close a key for ever; it may be closed already. Raises `KeyNotFound`.

    Running servers honour it within `greenline.workspaces.keyring.REMEMBERED`.
    """
    row = await pool.fetchrow(_sql["revoke_key"], workspace_id, key_id, clock.now())
    if row is None:
        raise KeyNotFound
    return _key(row)


async def revoke(pool: Pool, clock: Clock, workspace_id: str) -> list[ApiKey]:
    """Close every key of a workspace for ever: nobody gets in until there is a new one. Its data stays.

    The keys that were open until now, the oldest first. Raises `WorkspaceNotFound`.
    """
    await get(pool, workspace_id)
    rows = await pool.fetch(_sql["revoke_keys"], workspace_id, clock.now())
    return sorted((_key(row) for row in rows), key=lambda key: (key.created_at, key.id))


async def authenticate(pool: Pool, key: str) -> Workspace | None:
    """The workspace that the key opens, read from the database; None if the key is unknown or revoked."""
    row = await pool.fetchrow(_sql["authenticate"], hash_key(key))
    return Workspace(**row) if row else None


async def bootstrap(pool: Pool, clock: Clock, api_key: str | None) -> NewApiKey | None:
    """Make sure of the default workspace and of a key for it; safe when replicas start together.

    ``api_key`` is the value of GREENLINE_API_KEY. Without one, and if the workspace never had a key, one is made
    and returned, to be shown this once. Raises `KeyOfAnotherWorkspace`.
    """
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_sql["insert_workspace"], DEFAULT_ID, "Default", clock.now())
        await connection.execute(_sql["lock_workspace"], DEFAULT_ID)
        if api_key:
            await _put_bootstrap_key(connection, clock, api_key)
            return None
        if await connection.fetch(_sql["keys"], DEFAULT_ID):
            return None
        return await create_key(connection, clock, DEFAULT_ID, "First key")


async def _put_bootstrap_key(connection: Connection, clock: Clock, api_key: str) -> None:
    digest = hash_key(api_key)
    known = await connection.fetchrow(_sql["key_of_hash"], digest)
    if known is None:
        name, hint = "GREENLINE_API_KEY", api_key[-4:] if len(api_key) >= 16 else ""
        await connection.execute(
            _sql["put_bootstrap_key"], BOOTSTRAP_KEY_ID, DEFAULT_ID, name, digest, hint, clock.now()
        )
    elif known["workspace_id"] != DEFAULT_ID:
        raise KeyOfAnotherWorkspace
    elif known["revoked_at"] is not None:
        log.warning("api_key.bootstrap_revoked", key_id=known["id"], advice="set GREENLINE_API_KEY to another value")


def hash_key(key: str) -> bytes:
    """What the database keeps of a key."""
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()


def _checked(name: str) -> str:
    """The name in one line, as lists show it."""
    found = " ".join(clean_text(name).split())
    if not found:
        raise BlankName
    return found


def _key(row: Record) -> ApiKey:
    return ApiKey(**row)
