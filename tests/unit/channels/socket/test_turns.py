"""Sound that comes too fast gets a part of the time, one piece after the other; what comes in time does not wait."""

from __future__ import annotations

import asyncio

import pytest

from greenline.channels.socket.turns import SHARE, Turns
from support.wait import PATIENCE_SECONDS


class Watch:
    """A clock that work and pauses move."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)


async def test_what_comes_too_fast_is_worked_on_for_a_part_of_the_time() -> None:
    watch = Watch()
    turns = Turns(watch, watch.sleep)
    order: list[str] = []

    async def flood(name: str) -> None:
        for _ in range(3):
            async with turns.take(ahead=True):
                order.append(name)
                watch.seconds += 0.002

    await asyncio.gather(flood("a"), flood("b"))
    assert order == ["a", "b"] * 3
    assert watch.pauses == pytest.approx([0.002 * (1 - SHARE) / SHARE] * 6)
    assert 6 * 0.002 / watch.seconds == pytest.approx(SHARE)


async def test_what_comes_in_time_waits_for_no_turn_and_lets_others_have_theirs() -> None:
    forever = asyncio.Event()

    async def sleep(seconds: float) -> None:
        await forever.wait()

    turns = Turns(sleep=sleep)

    async def flood() -> None:
        async with turns.take(ahead=True):
            pass

    flooding = [asyncio.create_task(flood()) for _ in range(2)]
    await asyncio.sleep(0)
    others = 0

    async def count() -> None:
        nonlocal others
        while True:
            others += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    seen = []
    for _ in range(4):
        async with turns.take(ahead=False):
            seen.append(others)
    assert seen == sorted(set(seen)), "between two pieces everybody else has had a turn"
    assert not any(task.done() for task in flooding)
    for task in (*flooding, counting):
        task.cancel()
    await asyncio.gather(*flooding, counting, return_exceptions=True)


async def test_work_that_fails_keeps_nobody_waiting() -> None:
    turns = Turns()
    with pytest.raises(LookupError):
        async with turns.take(ahead=True):
            raise LookupError
    async with asyncio.timeout(PATIENCE_SECONDS), turns.take(ahead=True):
        pass
