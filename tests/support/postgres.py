"""A Postgres for the tests of one run, and a fresh database for each test that wants one."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from greenline.store.embedded import EmbeddedPostgres
from greenline.store.migrate import migrate
from greenline.store.postmaster import read_postmaster

TEMPLATE = "greenline_template"


def database_dsn(dsn: str, name: str) -> str:
    """The DSN of another database of the same server."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


@dataclass
class PostgresOfTests:
    """One embedded server; `create` copies a migrated template, which takes a few hundredths of a second."""

    folder: Path = field(default_factory=lambda: open_folder("greenline-tests-"))
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def start(self) -> None:
        """Start the server and make the template."""
        self._server = EmbeddedPostgres(self.folder)
        self.admin_dsn = self._server.start()
        asyncio.run(self._make_template())

    def stop(self) -> None:
        """Stop the server and delete everything."""
        self._server.stop()
        remove_data_dir(self.folder)

    async def create(self) -> str:
        """The DSN of a fresh, migrated database."""
        name = f"test_{next(self._numbers)}"
        await self.execute(f"create database {name} template {TEMPLATE}")
        return database_dsn(self.admin_dsn, name)

    async def create_empty(self) -> str:
        """The DSN of a database that has not been migrated."""
        name = f"empty_{next(self._numbers)}"
        await self.execute(f"create database {name}")
        return database_dsn(self.admin_dsn, name)

    async def drop(self, dsn: str) -> None:
        """Delete a database, whoever is still connected."""
        await self.execute(f"drop database {urlsplit(dsn).path[1:]} with (force)")

    async def execute(self, statement: str) -> None:
        """Run a statement on the server's own database."""
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def _make_template(self) -> None:
        await self.execute(f"create database {TEMPLATE}")
        await migrate(database_dsn(self.admin_dsn, TEMPLATE))


def open_folder(prefix: str) -> Path:
    """A new folder in a place that any user may enter: Postgres runs as another user when the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    folder.chmod(0o711)
    return folder


def remove_data_dir(folder: Path) -> None:
    """Delete a data directory and what it leads to; a database that a killed process left running is ended."""
    home = (folder / "postgres").resolve()
    running = read_postmaster(home / "data")
    if running is not None:
        os.kill(running.pid, signal.SIGQUIT)
    shutil.rmtree(home, ignore_errors=True)
    shutil.rmtree(folder)
