"""Forward-only migrations, applied at start; any number of replicas may start at once.

A migration is a file ``NNNN_name.sql`` in ``store/migrations``, run in a transaction of its own. It must let the
program of the version before go on working (first add, later remove), since replicas are replaced one by one.
What can't run in a transaction (``create index concurrently``) does not belong here.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

import asyncpg
import structlog

from greenline.errors import ConfigurationError, Unavailable
from greenline.store.pool import Connection, Pool
from greenline.store.sql import load_sql

log = structlog.get_logger(__name__)

LOCK: Final = 0x6772_6E6C  # "grnl"
OLDEST_SERVER: Final = 150_000
CONNECT_SECONDS: Final = 30.0
"""How long a database that does not answer is waited for: it is often started together with us."""
_FILE: Final = re.compile(r"\d{4}_\w+\.sql")

_sql = load_sql(__package__, "migrate.sql")


class DatabaseUnreachable(Unavailable):
    """The database can't be reached. Check GREENLINE_DATABASE_URL and that the server runs."""

    code = "database_unreachable"


class DatabaseTooOld(ConfigurationError):
    """The database server is older than Postgres 15."""

    code = "database_too_old"


class DatabaseNewer(ConfigurationError):
    """The database is newer than this program. Start the newer program, or restore a backup made before it."""

    code = "database_newer"


class MigrationChanged(ConfigurationError):
    """A migration was changed after it had been applied to this database. Put the old file back and add a new one."""

    code = "migration_changed"


class MigrationFailed(ConfigurationError):
    """A migration could not be applied."""

    code = "migration_failed"


@dataclass(frozen=True, slots=True)
class Migration:
    """One file. ``digest`` is the SHA-256 of its text, in hex."""

    name: str
    text: str

    @property
    def digest(self) -> str:
        """What the database remembers of the file."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def load_migrations() -> list[Migration]:
    """The migrations of this program, in their order. Raises ``ValueError`` if a number is there twice."""
    folder = resources.files("greenline.store.migrations")
    names = sorted(file.name for file in folder.iterdir() if _FILE.fullmatch(file.name))
    if len({name[:4] for name in names}) < len(names):
        raise ValueError(f"a number is given twice in {names}")
    return [Migration(name, folder.joinpath(name).read_text(encoding="utf-8")) for name in names]


async def migrate(dsn: str, migrations: Sequence[Migration] | None = None) -> list[str]:
    """Apply what is missing and return the names of it.

    Raises `DatabaseUnreachable`, `DatabaseTooOld`, `DatabaseNewer`, `MigrationChanged` or `MigrationFailed`.
    """
    files = await asyncio.to_thread(load_migrations) if migrations is None else migrations
    connection = await connect(dsn)
    try:
        if connection.get_server_version()[0] < OLDEST_SERVER // 10_000:
            raise DatabaseTooOld(f"{DatabaseTooOld().message} It is {connection.get_server_version()[0]}.")
        await connection.execute(_sql["lock"], LOCK)
        await connection.execute(_sql["create_table"])
        applied = {row["name"]: row["digest"] for row in await connection.fetch(_sql["applied"])}
        missing = pending(files, applied)
        for migration in missing:
            await _apply(connection, migration)
        return [migration.name for migration in missing]
    finally:
        await connection.close()  # which gives the lock back


async def newest_migration(pool: Pool) -> str:
    """The last migration that the database has. Raises asyncpg's errors when it can't be reached."""
    return str(await pool.fetchval(_sql["newest"]))


async def connect(dsn: str, *, seconds: float = CONNECT_SECONDS) -> Connection:
    """A connection of its own, waited for. Raises `DatabaseUnreachable`, at once for a refused password or name."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            return await asyncpg.connect(dsn, timeout=10)
        except (OSError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError) as error:
            if asyncio.get_running_loop().time() > deadline:
                raise DatabaseUnreachable(f"{DatabaseUnreachable().message} ({error})") from error
            log.info("database.waiting", error=str(error))
            await asyncio.sleep(0.5)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            raise DatabaseUnreachable(f"{DatabaseUnreachable().message} ({error})") from error


def pending(files: Sequence[Migration], applied: dict[str, str]) -> list[Migration]:
    """The migrations that a database with the ``applied`` ones (digest by name) lacks.

    Raises `DatabaseNewer` or `MigrationChanged`.
    """
    unknown = sorted(set(applied) - {file.name for file in files})
    if unknown:
        raise DatabaseNewer(f"{DatabaseNewer().message} It has {', '.join(unknown)}.")
    for file in files:
        if applied.get(file.name, file.digest) != file.digest:
            raise MigrationChanged(f"{MigrationChanged().message} It is {file.name}.")
    return [file for file in files if file.name not in applied]


async def _apply(connection: Connection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(_sql["limit_lock_wait"])
            await connection.execute(migration.text)
            await connection.execute(_sql["remember"], migration.name, migration.digest)
    except asyncpg.PostgresError as error:
        raise MigrationFailed(f"The migration {migration.name} could not be applied: {error}") from error
    log.info("database.migrated", migration=migration.name)
