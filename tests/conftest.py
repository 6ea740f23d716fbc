"""Fixtures of all tests: a database of their own, a clock that stands still, a running server, the official SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from greenline.clock import ManualClock
from greenline.settings import Settings
from greenline.store.pool import Pool, open_pool
from support.postgres import PostgresOfTests


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresOfTests]:
    """The server that all tests of this run share."""
    server = PostgresOfTests()
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def dsn(postgres: PostgresOfTests) -> AsyncIterator[str]:
    """A fresh, migrated database."""
    name = await postgres.create()
    yield name
    await postgres.drop(name)


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    """Connections to a fresh, migrated database."""
    connections = await open_pool(dsn)
    yield connections
    connections.terminate()


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still until the test moves it."""
    return ManualClock()


@pytest.fixture
def settings(dsn: str, tmp_path: Path) -> Settings:
    """Settings on the test's own database and folder; `model_copy(update=...)` changes some."""
    return Settings(
        port=0,
        data_dir=tmp_path,
        database_url=dsn,
        api_key="gl_test",
        outbound_allow=("127.0.0.0/8", "::1"),
        drain_seconds=5.0,
    )
