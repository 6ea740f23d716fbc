"""What tests of pages share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from support.pages import Place
    from support.postgres import PostgresOfTests


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    request: pytest.FixtureRequest, postgres: PostgresOfTests, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    """The place that the tests of a module share, as its ``BUSINESS`` says."""
    from support.pages import pages  # Playwright with it, which few tests need

    async with pages(postgres, tmp_path_factory.mktemp("pages"), request.module.BUSINESS) as place:
        yield place


@pytest_asyncio.fixture(loop_scope="module")
async def place(shared: Place) -> AsyncIterator[Place]:
    """The place of the module. Its pages are closed after each test."""
    yield shared
    await shared.close()
