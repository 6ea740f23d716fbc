"""Migrations: each once, whoever starts; never on a database that another program has changed."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from greenline.store.migrate import (
    DatabaseNewer,
    DatabaseUnreachable,
    Migration,
    MigrationChanged,
    MigrationFailed,
    connect,
    load_migrations,
    migrate,
)
from support.postgres import PostgresOfTests
from support.wait import until

ONE = Migration("0001_one.sql", "create table one (id int);")
TWO = Migration("0002_two.sql", "create table two (id int); insert into two values (1);")


@pytest.fixture
async def empty(postgres: PostgresOfTests) -> AsyncIterator[str]:
    dsn = await postgres.create_empty()
    yield dsn
    await postgres.drop(dsn)


async def tables(dsn: str) -> set[str]:
    connection = await asyncpg.connect(dsn)
    try:
        return {
            row[0] for row in await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
        }
    finally:
        await connection.close()


async def test_only_what_is_missing_is_applied(empty: str) -> None:
    assert await migrate(empty, [ONE]) == ["0001_one.sql"]
    assert await migrate(empty, [ONE, TWO]) == ["0002_two.sql"]
    assert await migrate(empty, [ONE, TWO]) == []
    between = Migration("0001_three.sql", "create table three (id int);")
    assert await migrate(empty, [ONE, between, TWO]) == ["0001_three.sql"]
    assert await tables(empty) == {"schema_migration", "one", "two", "three"}


async def test_many_starters_migrate_once(empty: str) -> None:
    done = await asyncio.gather(*(migrate(empty) for _ in range(6)))
    assert sorted(len(names) for names in done) == [0, 0, 0, 0, 0, len(load_migrations())]


async def test_a_program_older_than_the_database_does_not_start(empty: str) -> None:
    await migrate(empty, [ONE, TWO])
    with pytest.raises(DatabaseNewer, match="0002_two"):
        await migrate(empty, [ONE])


async def test_a_changed_migration_is_noticed(empty: str) -> None:
    await migrate(empty, [ONE])
    with pytest.raises(MigrationChanged, match="0001_one"):
        await migrate(empty, [Migration(ONE.name, "create table other (id int);")])


async def test_a_broken_migration_leaves_nothing_of_itself(empty: str) -> None:
    broken = Migration("0002_broken.sql", "create table half (id int); select nonsense;")
    with pytest.raises(MigrationFailed, match="0002_broken"):
        await migrate(empty, [ONE, broken])
    assert await tables(empty) == {"schema_migration", "one"}


async def test_a_starter_that_is_killed_in_a_migration_leaves_it_to_the_next(empty: str, tmp_path: Path) -> None:
    slow = "create table one (id int); select pg_sleep(60);"
    program = f"""
import asyncio
from greenline.store.migrate import Migration, migrate
asyncio.run(migrate({empty!r}, [Migration("0001_one.sql", {slow!r})]))
"""
    starter = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    watcher = await asyncpg.connect(empty)
    sleeping = "select pid from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"
    await until(lambda: watcher.fetchval(sleeping))
    os.kill(starter.pid, signal.SIGKILL)
    await starter.wait()
    await watcher.execute(f"select pg_terminate_backend(pid) from ({sleeping}) as sleeper")
    await watcher.close()
    assert await migrate(empty, [ONE]) == ["0001_one.sql"]


async def test_a_refused_name_is_told_at_once(empty: str) -> None:
    with pytest.raises(DatabaseUnreachable, match="nobody_here"):
        await migrate(empty.replace("/empty_", "/nobody_here_"))


async def test_a_server_that_does_not_answer_is_given_up_in_time(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnreachable, match="GREENLINE_DATABASE_URL"):
        await connect(f"postgresql://postgres@/postgres?host={tmp_path}&port=1", seconds=0.1)
