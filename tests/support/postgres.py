"""A Postgres for the tests of one run, and a fresh database for each test that wants one."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import queue
import shutil
import signal
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from greenline.store.embedded import EmbeddedPostgres
from greenline.store.migrate import migrate
from greenline.store.postmaster import read_postmaster

TEMPLATE = "greenline_template"
STOCK = 2
"""Databases that are made ahead: copying the template takes longer than most tests."""


def database_dsn(dsn: str, name: str) -> str:
    """The DSN of another database of the same server."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


@dataclass
class PostgresOfTests:
    """One embedded server, and copies of a migrated template that a thread makes and drops beside the tests."""

    folder: Path = field(default_factory=lambda: open_folder("greenline-tests-"))
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _ready: queue.Queue[str | BaseException] = field(default_factory=lambda: queue.Queue(STOCK))
    _used: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Start the server and make the template."""
        self._server = EmbeddedPostgres(self.folder)
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
        """The DSN of a fresh, migrated database."""
        name = await asyncio.to_thread(self._ready.get, timeout=60)
        if isinstance(name, BaseException):
            raise name
        return database_dsn(self.admin_dsn, name)

    async def create_empty(self) -> str:
        """The DSN of a database that has not been migrated."""
        name = f"empty_{next(self._numbers)}"
        await self.execute(f"create database {name}")
        return database_dsn(self.admin_dsn, name)

    def drop(self, dsn: str) -> None:
        """Have a database deleted, whoever is still connected."""
        self._used.put(urlsplit(dsn).path[1:])

    async def execute(self, statement: str) -> None:
        """Run a statement on the server's own database."""
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def _keep_stock(self) -> None:
        try:
            while not self._stopping.is_set():
                name = f"test_{next(self._numbers)}"
                asyncio.run(self._copy_and_drop(name))
                self._ready.put(name)
        except BaseException as error:  # noqa: BLE001 - raised again in the test that wants a database
            self._ready.put(error)

    async def _copy_and_drop(self, name: str) -> None:
        await self.execute(f"create database {name} template {TEMPLATE}")
        while not self._used.empty():
            await self.execute(f"drop database {self._used.get()} with (force)")

    def _take_one(self) -> None:
        with contextlib.suppress(queue.Empty):
            self._ready.get_nowait()

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
