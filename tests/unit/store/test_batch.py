"""Group commit: together when it can be, alone when it must be."""

import asyncio

import asyncpg
import pytest

from greenline.store.batch import Batcher, QueueFull


async def test_writers_share_a_commit() -> None:
    batches: list[list[int]] = []
    gate = asyncio.Event()

    async def write(rows: list[int]) -> list[int]:
        batches.append(rows)
        await gate.wait()
        return [row * 10 for row in rows]

    batcher = Batcher(write)
    first = batcher.submit(1)
    await asyncio.sleep(0)
    others = [batcher.submit(row) for row in (2, 3, 4)]
    gate.set()
    assert await asyncio.gather(first, *others) == [10, 20, 30, 40]
    assert batches == [[1], [2, 3, 4]]


@pytest.mark.parametrize(
    "refusal", [asyncpg.DataError, asyncpg.UniqueViolationError, asyncpg.ProgramLimitExceededError]
)
async def test_a_refused_row_fails_alone(refusal: type[asyncpg.PostgresError]) -> None:
    async def write(rows: list[int]) -> list[int]:
        if 7 in rows:
            raise refusal("bad row")
        return rows

    batcher = Batcher(write)
    results = await asyncio.gather(*(batcher.put(row) for row in range(20)), return_exceptions=True)
    assert [row for row in results if not isinstance(row, BaseException)] == [row for row in range(20) if row != 7]
    assert isinstance(results[7], refusal)


async def test_an_unknown_outcome_reaches_every_writer() -> None:
    async def write(rows: list[int]) -> list[int]:
        raise ConnectionResetError

    batcher = Batcher(write)
    results = await asyncio.gather(*(batcher.put(row) for row in range(3)), return_exceptions=True)
    assert all(isinstance(result, ConnectionResetError) for result in results)


async def test_a_deadlock_is_tried_again() -> None:
    calls = 0

    async def write(rows: list[int]) -> list[int]:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise asyncpg.DeadlockDetectedError
        return rows

    assert await Batcher(write).put(5) == 5


async def test_a_full_queue_refuses_at_once() -> None:
    gate = asyncio.Event()

    async def write(rows: list[int]) -> list[int]:
        await gate.wait()
        return rows

    batcher = Batcher(write, depth=2)
    begun = batcher.submit(0)
    await asyncio.sleep(0)
    waiting = [batcher.submit(row) for row in (1, 2)]
    with pytest.raises(QueueFull):
        batcher.submit(3)
    gate.set()
    assert await asyncio.gather(begun, *waiting) == [0, 1, 2]
