"""A Postgres for the tests of one run, and a fresh database for each test that wants one."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from greenline.store import embedded
from greenline.store.migrate import migrate
from greenline.store.pool import Connection
from greenline.store.postmaster import read_postmaster

TEMPLATE = "greenline_template"
STOCK = 2
"""Databases that are ready ahead, so that no test waits for one."""
RENAME_TRIES = 50
"""A client of the test before may connect once more between the end of its connections and the new name."""
SETTINGS = {**embedded.SETTINGS, "fsync": "off", "full_page_writes": "off"}
"""Tests kill processes, never the machine: what was written is there without waiting for the disk."""

SCHEMA = """
select coalesce(json_agg(name order by name)::text, '') from (
  select 'class ' || relname from pg_class where relnamespace = 'public'::regnamespace
  union all select 'function ' || oid::regprocedure from pg_proc where pronamespace = 'public'::regnamespace
  union all select 'trigger ' || tgname from pg_trigger where not tgisinternal
) as thing(name)
"""
EMPTY = """
select 'set session_replication_role = replica;'
  || string_agg(format('delete from %I;', tablename), '') filter (where tablename <> 'schema_migration')
  || (select string_agg(format('alter sequence %I restart;', sequencename), '') from pg_sequences)
from pg_tables where schemaname = 'public'
"""


def database_dsn(dsn: str, name: str) -> str:
    """The DSN of another database of the same server."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


@dataclass
class PostgresOfTests:
    """One embedded server, and databases that a thread prepares beside the tests.

    A database that was given back is emptied and gets a new name, under which nothing of the test before finds it.
    Copying the template anew takes ten times as long: a thousand files.
    """

    folder: Path = field(default_factory=lambda: open_folder("greenline-tests-"))
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _ready: queue.Queue[str | BaseException] = field(default_factory=lambda: queue.Queue(STOCK))
    _used: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Start the server and make the template."""
        self._server = embedded.EmbeddedPostgres(self.folder, SETTINGS)
        self.admin_dsn = self._server.start()
        asyncio.run(self._make_template())
        self._keeper = threading.Thread(target=self._keep_stock, name="databases of tests", daemon=True)
        self._keeper.start()

    def stop(self) -> None:
        """Stop the server and delete everything."""
        self._stopping.set()
        while self._keeper.is_alive():  # it may wait for room
            self._take_one()
            self._keeper.join(0.1)
        self._server.stop()
        remove_data_dir(self.folder)

    async def create(self) -> str:
        """The DSN of a migrated database without a row."""
        name = await asyncio.to_thread(self._ready.get, timeout=60)
        if isinstance(name, BaseException):
            raise name
        return database_dsn(self.admin_dsn, name)

    def give_back(self, dsn: str) -> None:
        """Have a database of `create` prepared for another test, whoever is still connected."""
        self._used.put(_name(dsn))

    async def create_empty(self) -> str:
        """The DSN of a database that has not been migrated."""
        name = f"empty_{next(self._numbers)}"
        await self.execute(f"create database {name}")
        return database_dsn(self.admin_dsn, name)

    async def drop(self, dsn: str) -> None:
        """Delete a database, whoever is still connected."""
        await self.execute(f"drop database {_name(dsn)} with (force)")

    async def execute(self, statement: str) -> None:
        """Run a statement on the server's own database."""
        async with self._connect("postgres") as connection:
            await connection.execute(statement)

    @contextlib.asynccontextmanager
    async def _connect(self, name: str) -> AsyncIterator[Connection]:
        connection = await asyncpg.connect(database_dsn(self.admin_dsn, name))
        try:
            yield connection
        finally:
            await connection.close()

    def _keep_stock(self) -> None:
        try:
            with asyncio.Runner() as runner:
                admin = runner.run(asyncpg.connect(self.admin_dsn))
                while not self._stopping.is_set():
                    self._ready.put(runner.run(self._prepare(admin, f"test_{next(self._numbers)}")))
                runner.run(admin.close())
        except BaseException as error:  # noqa: BLE001 - raised again in the test that wants a database
            self._ready.put(error)

    async def _prepare(self, admin: Connection, name: str) -> str:
        while not self._used.empty():
            used = self._used.get()
            await self._rename(admin, used, name)
            if await self._empty(name):
                return name
            await admin.execute(f"drop database {name} with (force)")
        await admin.execute(f"create database {name} template {TEMPLATE} strategy file_copy")
        return name

    async def _rename(self, admin: Connection, old: str, new: str) -> None:
        for _ in range(RENAME_TRIES):
            await admin.fetch("select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1", old)
            with contextlib.suppress(asyncpg.ObjectInUseError):
                await admin.execute(f"alter database {old} rename to {new}")
                return
        raise TimeoutError(f"somebody keeps connecting to {old}")

    async def _empty(self, name: str) -> bool:
        """Delete every row; False where the test has changed the schema."""
        async with self._connect(name) as connection:
            if await connection.fetchval(SCHEMA) != self._schema:
                return False
            await connection.execute(self._emptying)
        return True

    def _take_one(self) -> None:
        with contextlib.suppress(queue.Empty):
            self._ready.get_nowait()

    async def _make_template(self) -> None:
        await self.execute(f"create database {TEMPLATE}")
        await migrate(database_dsn(self.admin_dsn, TEMPLATE))
        async with self._connect(TEMPLATE) as connection:
            self._schema = await connection.fetchval(SCHEMA)
            self._emptying = await connection.fetchval(EMPTY)


def _name(dsn: str) -> str:
    return urlsplit(dsn).path[1:]


def open_folder(prefix: str) -> Path:
    """A new folder in a place that any user may enter: Postgres runs as another user when the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    folder.chmod(0o711)
    return folder


def make_data_dir() -> Path:
    """A data directory whose database is migrated and stopped. To make one takes seconds, to copy it does not."""
    folder = open_folder("greenline-made-")
    server = embedded.EmbeddedPostgres(folder)
    asyncio.run(migrate(server.start()))
    server.stop()
    return folder


def copy_data_dir(made: Path, folder: Path) -> None:
    """Give a new data directory the database of another, which is stopped."""
    subprocess.run(["cp", "-a", made / "postgres", folder], check=True)


def remove_data_dir(folder: Path) -> None:
    """Delete a data directory and what it leads to; a database that a killed process left running is ended."""
    home = (folder / "postgres").resolve()
    running = read_postmaster(home / "data")
    if running is not None:
        os.kill(running.pid, signal.SIGQUIT)
    shutil.rmtree(home, ignore_errors=True)
    shutil.rmtree(folder)
