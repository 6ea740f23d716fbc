"""Environments of a workspace, and variables with a value in each of them (reference: Environment variables).

`production` is always there and every variable has a value in it, which stands in where another environment has none.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from greenline.clock import Clock
from greenline.errors import BadRequest, Conflict, NotFound
from greenline.ids import new_id
from greenline.store import cursor as cursors
from greenline.store.pool import Connection, Pool
from greenline.store.sql import load_sql
from greenline.store.vault import Vault
from greenline.workspaces.secrets import hold, reveal

PRODUCTION: Final = "production"
ORDER: Final = "environment_variables"

VariableType: TypeAlias = Literal["string", "secret", "auth_connection"]

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_sql = load_sql(__package__, "environments.sql")


class EnvironmentNotFound(NotFound):
    """The workspace has no environment of this name. Leave it out for production."""

    code = "environment_not_found"


class EnvironmentTaken(Conflict):
    """The workspace has an environment of this name."""

    code = "environment_exists"


class ProductionStays(BadRequest):
    """The environment production is always there."""

    code = "production_environment"


class InvalidEnvironment(BadRequest):
    """The name of an environment is made of letters, digits, underscores and hyphens."""

    code = "invalid_environment_name"


class VariableNotFound(NotFound):
    """The workspace has no environment variable with this id."""

    code = "environment_variable_not_found"


class VariableInUse(BadRequest):
    """MCP servers or the workspace's settings use this environment variable. Take it out there first."""

    code = "environment_variable_in_use"


class LabelTaken(Conflict):
    """The workspace has an environment variable with this label. Update it, or choose another label."""

    code = "environment_variable_exists"


class InvalidValue(BadRequest):
    """The values don't fit the environment variable."""

    code = "invalid_environment_variable"


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment. ``updated_at``: when it was made, or a value in it changed; None when neither is known."""

    name: str
    created_by: str | None
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class Variable:
    """``values`` by environment: texts, or ``{"secret_id": ...}`` for the type ``secret``."""

    id: str
    label: str
    type: VariableType
    values: Mapping[str, Any] = field(repr=False)
    created_by: str | None
    created_at: datetime
    updated_at: datetime


async def list_environments(pool: Pool, workspace_id: str) -> list[Environment]:
    """All environments, production first."""
    changed = await pool.fetchval(_sql["production_changed"], workspace_id)
    rows = await pool.fetch(_sql["environments"], workspace_id)
    return [Environment(PRODUCTION, None, changed), *(Environment(**row) for row in rows)]


async def create_environment(pool: Pool, clock: Clock, workspace_id: str, name: str) -> Environment:
    """A new environment. Raises `InvalidEnvironment` or `EnvironmentTaken`."""
    _check_name(name)
    now = clock.now()
    if name == PRODUCTION or await pool.fetchval(_sql["create"], workspace_id, name, now) is None:
        raise EnvironmentTaken
    return Environment(name, workspace_id, now)


async def delete_environment(pool: Pool, clock: Clock, workspace_id: str, name: str) -> None:
    """Delete an environment with its values. Raises `ProductionStays` or `EnvironmentNotFound`."""
    if name == PRODUCTION:
        raise ProductionStays
    async with pool.acquire() as connection, connection.transaction():
        # First the variables, then the environment, as a change of a variable does: else both could wait for ever.
        await connection.execute(_sql["forget_values"], workspace_id, name, clock.now())
        if await connection.fetchval(_sql["delete"], workspace_id, name) is None:
            raise EnvironmentNotFound


async def check_environment(pool: Pool, workspace_id: str, name: str | None) -> str:
    """The environment that a start of a conversation names; without a name, production.

    Raises `EnvironmentNotFound`.
    """
    if not name or name == PRODUCTION:
        return PRODUCTION
    if not await pool.fetchval(_sql["exists"], workspace_id, name):
        raise EnvironmentNotFound(f"{EnvironmentNotFound().message} Asked for: {name[:100]}.")
    return name


async def create_variable(
    pool: Pool, clock: Clock, workspace_id: str, *, label: str, kind: VariableType, values: Mapping[str, Any]
) -> Variable:
    """A new variable; environments that it names begin to exist. Raises `InvalidValue` or `LabelTaken`."""
    if PRODUCTION not in values:
        raise InvalidValue("A variable needs a value for production.")
    async with pool.acquire() as connection, connection.transaction():
        now = clock.now()
        await _check_values(connection, workspace_id, kind, values)
        row = await connection.fetchrow(
            _sql["insert_variable"], new_id("envvar"), workspace_id, label, kind, dict(values), now
        )
        if row is None:
            raise LabelTaken
        await _touch(connection, workspace_id, values, now)
    return Variable(**row)


async def get_variable(pool: Pool, workspace_id: str, variable_id: str) -> Variable:
    """The variable with this id. Raises `VariableNotFound`."""
    row = await pool.fetchrow(_sql["variable"], workspace_id, variable_id)
    if row is None:
        raise VariableNotFound
    return Variable(**row)


async def update_variable(
    pool: Pool, clock: Clock, workspace_id: str, variable_id: str, changes: Mapping[str, Any]
) -> Variable:
    """Set values, or take those away that are None. Raises `VariableNotFound` or `InvalidValue`."""
    if PRODUCTION in changes and changes[PRODUCTION] is None:
        raise InvalidValue("The value for production can be changed, and not removed.")
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(_sql["lock_variable"], workspace_id, variable_id)
        if row is None:
            raise VariableNotFound
        now = clock.now()
        given = {name: value for name, value in changes.items() if value is not None}
        await _check_values(connection, workspace_id, row["type"], given)
        kept = {name: value for name, value in row["values"].items() if name not in changes}
        changed = await connection.fetchrow(_sql["update_variable"], workspace_id, variable_id, kept | given, now)
        assert changed is not None  # noqa: S101 - it is locked
        await _touch(connection, workspace_id, changes.keys() & (row["values"].keys() | given.keys()), now)
    return Variable(**changed)


async def delete_variable(pool: Pool, workspace_id: str, variable_id: str) -> None:
    """Delete a variable that neither MCP servers nor the workspace's settings use. Agents fail when they need it.

    Raises `VariableNotFound` and `VariableInUse`, which names its users.
    """
    servers = await pool.fetch(_sql["mcp_servers"], workspace_id, variable_id)
    users = [f"the MCP server {row['name']}" for row in servers]
    if await pool.fetchval(_sql["settings"], workspace_id, variable_id):
        users.append("the webhook for start data in the settings of the workspace")
    if users:
        raise VariableInUse(f"This environment variable is used by {', '.join(users)}. Take it out there first.")
    if await pool.fetchval(_sql["delete_variable"], workspace_id, variable_id) is None:
        raise VariableNotFound


async def list_variables(
    pool: Pool,
    workspace_id: str,
    *,
    label: str | None = None,
    environment: str | None = None,
    kind: VariableType | None = None,
    page_size: int = 100,
    cursor: str | None = None,
) -> tuple[list[Variable], str | None]:
    """A page of variables, the newest first, and the cursor of the next one.

    With an ``environment`` only those that have a value in it, and only that value. Raises
    `greenline.store.cursor.InvalidCursor`.
    """
    after: tuple[datetime | None, str | None] = None, None
    if cursor is not None:
        microseconds, last_id = cursors.decode(cursor, ORDER, int, str)
        after = cursors.to_moment(microseconds), last_id
    rows = await pool.fetch(_sql["page"], workspace_id, label, environment, kind, *after, page_size + 1)
    shown = [Variable(**row) for row in rows[:page_size]]
    last = shown[-1] if len(rows) > page_size else None
    return shown, cursors.encode(ORDER, cursors.from_moment(last.created_at), last.id) if last else None


async def texts(
    pool: Pool | Connection,
    vault: Vault,
    workspace_id: str,
    environment: str,
    labels: Collection[str],
    *,
    secret: bool,
) -> dict[str, str]:
    """What labels stand for in an environment; those that stand for nothing are left out.

    Without ``secret`` only variables of the type ``string`` are looked at: a secret goes into no text. Raises
    `greenline.store.vault.SecretUnreadable`.
    """
    if not labels:
        return {}
    rows = await pool.fetch(_sql["resolve"], workspace_id, list(labels), environment)
    found = {row["label"]: row["value"] for row in rows if row["type"] == "string"}
    if secret:
        ids = {row["label"]: row["value"]["secret_id"] for row in rows if row["type"] == "secret"}
        values = await reveal(pool, vault, workspace_id, ids.values())
        found |= {label: values[secret_id] for label, secret_id in ids.items() if secret_id in values}
    return found


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidEnvironment


async def _check_values(
    connection: Connection, workspace_id: str, kind: VariableType, values: Mapping[str, Any]
) -> None:
    """Whether values fit their variable; secrets are kept from deletion until the transaction ends."""
    for name in values:
        _check_name(name)
    if kind == "auth_connection":
        raise InvalidValue("The workspace has no auth connections. Use a variable of the type secret.")
    if kind == "string":
        if not all(isinstance(value, str) for value in values.values()):
            raise InvalidValue("The values of a variable of the type string are texts.")
        return
    ids = {value.get("secret_id") if isinstance(value, dict) else None for value in values.values()}
    if not all(isinstance(secret_id, str) for secret_id in ids):
        raise InvalidValue('The values of a variable of the type secret are objects: {"secret_id": ...}.')
    known = await hold(connection, workspace_id, [str(secret_id) for secret_id in ids])
    if known < ids:
        raise InvalidValue("The workspace has no secret with this id. Create it first.")


async def _touch(connection: Connection, workspace_id: str, names: Collection[str], now: datetime) -> None:
    others = [name for name in names if name != PRODUCTION]
    await connection.execute(_sql["touch"], workspace_id, others, now)
