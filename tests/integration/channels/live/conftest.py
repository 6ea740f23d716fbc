"""Conversations by voice with scripted speech, which several files of tests hold."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from greenline.clock import ManualClock
from greenline.settings import Settings
from greenline.store.pool import Pool
from support.live import Opens, Stage, stage
from support.spoken import ANSWER, SpokenSpeech


@pytest.fixture
def speech() -> SpokenSpeech:
    """What the person says, and how the agent sounds."""
    return SpokenSpeech()


@pytest.fixture
def opens(pool: Pool, dsn: str, clock: ManualClock, settings: Settings, speech: SpokenSpeech) -> Opens:
    """Opens a stage for an agent with the given configuration; ``settings`` may be others."""

    def open_stage(config: dict[str, Any] | None = None, **more: Any) -> AbstractAsyncContextManager[Stage]:
        return stage(pool, dsn, clock, more.pop("settings", settings), config, speech=speech, **more)

    return open_stage


@pytest.fixture
async def live(opens: Opens) -> AsyncIterator[Stage]:
    """A stage whose agent always says `ANSWER`."""
    async with opens() as running:
        running.model.say = lambda request: ANSWER
        yield running
