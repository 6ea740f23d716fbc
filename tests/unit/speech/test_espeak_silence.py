"""How long the process of the embedded voice may be silent."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import sentinel

import pytest

from greenline.speech.espeak import SILENCE_SECONDS, _Frame, _next, _Worker
from support.virtual_time import in_virtual_time, virtual_loop

FRAME = _Frame(1)


def asked(process: Any = sentinel.process) -> tuple[_Worker, asyncio.Queue[_Frame | None], asyncio.Task[Any]]:
    worker, frames = _Worker(process), asyncio.Queue[_Frame | None]()
    return worker, frames, asyncio.create_task(_next(worker, frames))


@in_virtual_time
async def test_time_in_which_the_machine_stands_still_does_not_count() -> None:
    _, frames, waiting = asked()
    await asyncio.sleep(0.1)
    virtual_loop().stand_still(2 * SILENCE_SECONDS)
    await asyncio.sleep(0.1)
    frames.put_nowait(FRAME)
    assert await waiting is FRAME


@in_virtual_time
async def test_a_process_that_speaks_for_others_is_not_silent() -> None:
    worker, frames, waiting = asked()
    for _ in range(8):
        await asyncio.sleep(SILENCE_SECONDS / 2)
        worker.heard_at = virtual_loop().time()
    frames.put_nowait(FRAME)
    assert await waiting is FRAME


@in_virtual_time
async def test_a_process_that_gives_nothing_to_anybody_is() -> None:
    _, _, waiting = asked()
    begun = virtual_loop().time()
    with pytest.raises(TimeoutError):
        await waiting
    assert virtual_loop().time() - begun == pytest.approx(SILENCE_SECONDS, abs=0.1)
