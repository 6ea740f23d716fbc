"""The channel that most of these tests talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from greenline.clock import ManualClock
from greenline.settings import Settings
from greenline.speech.models import Speech
from greenline.store.pool import Pool
from support.channel import Channel, running_channel


@pytest.fixture
def speech() -> Speech | None:
    """None: a server without speech. Tests of voice notes have one of their own."""
    return None


@pytest.fixture
async def channel(
    pool: Pool, dsn: str, clock: ManualClock, settings: Settings, speech: Speech | None
) -> AsyncIterator[Channel]:
    """A running channel with one number and one agent, which answers "Hello!"."""
    async with running_channel(pool, dsn, clock, settings, speech=speech) as running:
        yield running
