"""What the tests of models share."""

from __future__ import annotations

import pytest

from greenline.llm.sdk import load_sdk


@pytest.fixture(autouse=True)
async def sdk() -> None:
    """The SDK takes a second to import, more on a busy machine: of no test's limit for a first token."""
    await load_sdk()
