"""What tests of pages share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    from support.pages import Place


@pytest_asyncio.fixture(loop_scope="module")
async def place(business: Place) -> AsyncIterator[Place]:
    """The ``business`` of the module. Its pages are closed after each test."""
    yield business
    await business.close()
