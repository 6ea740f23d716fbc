"""Fixtures of all tests: a database of their own, a clock that stands still, a running server, the official SDK."""

from __future__ import annotations

import gc
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx2
import hypothesis
import pytest
import structlog
from blockbuster import BlockBuster
from pydantic import SecretStr

from greenline.clock import ManualClock
from greenline.settings import Settings
from greenline.store.pool import Pool, open_pool
from support.http import PLAIN, http_client
from support.postgres import PostgresOfTests, copy_data_dir, make_data_dir, open_folder, remove_data_dir
from support.programs import missing_programs
from support.wait import PATIENCE_SECONDS

# It takes a quarter of the time in which the tests are read, and finds nothing; see `pytest_collection_finish`.
gc.disable()

# The same examples in each run, and no judgement of how long one takes on a busy machine.
hypothesis.settings.register_profile("greenline", deadline=None, derandomize=True)
hypothesis.settings.load_profile("greenline")

# Tracebacks as the server logs them. structlog's own default adds the variables of every frame where `rich` is there:
# an agent's whole configuration, which holds the event loop up for seconds.
_ON_SCREEN: Final = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], _ON_SCREEN])

if TYPE_CHECKING:
    from elevenlabs.client import AsyncElevenLabs

    from support.livekit_real import LiveKit
    from support.server import RunningServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a program that is missing here, and say which. Of the tests of a change (CI) none may be."""
    missing = {} if os.environ.get("CI") else missing_programs()
    for item in items:
        for mark, reason in missing.items():
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_collection_finish() -> None:
    """Have the collector look at what tests make from here on, not at half a million objects of modules each time."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresOfTests]:
    """The server that all tests of this run share."""
    server = PostgresOfTests()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def data_dir_to_copy() -> Iterator[Path]:
    """What `made_data_dir` is a copy of."""
    folder = make_data_dir()
    yield folder
    remove_data_dir(folder)


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """An empty data directory; a database that still runs on it at the end is stopped."""
    folder = open_folder("greenline-data-")
    yield folder
    remove_data_dir(folder)


@pytest.fixture
def made_data_dir(data_dir: Path, data_dir_to_copy: Path) -> Path:
    """A data directory with a migrated database that is stopped: for what is not about how one is made."""
    copy_data_dir(data_dir_to_copy, data_dir)
    return data_dir


@pytest.fixture
async def dsn(postgres: PostgresOfTests) -> AsyncIterator[str]:
    """A migrated database without a row."""
    name = await postgres.create()
    yield name
    postgres.give_back(name)


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


@pytest.fixture(scope="session")
def common_settings() -> Settings:
    """What the settings of all tests share: to read the environment for each would cost as much as a small test."""
    return Settings(port=0, api_key="gl_test", outbound_allow=("127.0.0.0/8", "::1"), drain_seconds=5.0)


@pytest.fixture
def settings(common_settings: Settings, dsn: str, tmp_path: Path) -> Settings:
    """Settings on the test's own database and folder; `model_copy(update=...)` changes some."""
    return common_settings.model_copy(update={"data_dir": tmp_path, "database_url": SecretStr(dsn)})


@pytest.fixture
async def server(settings: Settings, clock: ManualClock) -> AsyncIterator[RunningServer]:
    """A server on a free port, in the loop of the test and with its clock."""
    from support.server import run_server  # the whole server: tests of a part need not wait for it

    async with run_server(settings, clock) as running:
        yield running


@pytest.fixture
async def http(server: RunningServer) -> AsyncIterator[httpx2.AsyncClient]:
    """Plain HTTP to the server, with the key of the default workspace."""
    async with http_client(server.url, server.api_key) as client:
        yield client


@pytest.fixture
async def client(server: RunningServer) -> AsyncIterator[AsyncElevenLabs]:
    """The official SDK, pointed at the server, with the key of the default workspace."""
    import httpx
    from elevenlabs.client import AsyncElevenLabs

    async with httpx.AsyncClient(verify=PLAIN, trust_env=False, timeout=PATIENCE_SECONDS) as transport:
        yield AsyncElevenLabs(base_url=server.url, api_key=server.api_key, httpx_client=transport)


@pytest.fixture
async def livekit(request: pytest.FixtureRequest) -> AsyncIterator[LiveKit]:
    """A LiveKit server: a stand-in, or the real one where `BOTH` asks for it."""
    from support.livekit_real import livekit_for

    async with livekit_for(request) as running:
        yield running


@pytest.fixture(scope="session")
def blocking_calls() -> BlockBuster:
    """What finds calls of ours that make the event loop wait for a time or for another machine."""
    watch = BlockBuster("greenline")
    for name in list(watch.functions):
        if name.startswith(("os.", "io.", "threading.")):  # libraries read files when they are first used
            del watch.functions[name]
    return watch


@pytest.fixture(autouse=True)
def no_blocking_calls(blocking_calls: BlockBuster) -> Iterator[None]:
    """Such a call fails its test."""
    blocking_calls.activate()
    yield
    blocking_calls.deactivate()
