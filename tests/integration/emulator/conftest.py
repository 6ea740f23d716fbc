"""An emulator, a callback that it tells, and a person."""

from collections.abc import AsyncIterator

import pytest

from support.meta import Emulator, Person
from support.receiver import Receiver, subscribed


@pytest.fixture
async def told() -> AsyncIterator[Receiver]:
    """A callback, and the emulator that tells it."""
    async with subscribed() as receiver:
        yield receiver


@pytest.fixture
def meta(told: Receiver) -> Emulator:
    return told.meta


@pytest.fixture
async def ann(meta: Emulator) -> Person:
    return await meta.person("Ann", "15550100001")
