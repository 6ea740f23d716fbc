"""Reading a stream in a task of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import pytest
from structlog.testing import capture_logs

from greenline.reader import CLOSE_SECONDS, Reader
from support.virtual_time import in_virtual_time, virtual_loop


class Source:
    """Gives numbers; may fail after them, or be slow to close."""

    def __init__(self, count: int = 3, *, error: Exception | None = None, closing: float = 0.0) -> None:
        self.count = count
        self.error = error
        self.closing = closing
        self.given = 0
        self.closed = asyncio.Event()

    async def numbers(self) -> AsyncGenerator[int, None]:
        try:
            for number in range(self.count):
                self.given += 1
                yield number
            if self.error is not None:
                raise self.error
        finally:
            await asyncio.sleep(self.closing)
            self.closed.set()


async def test_it_gives_what_the_stream_gives_and_ends_with_it() -> None:
    source = Source()
    reader = Reader(source.numbers(), "numbers")
    assert [number async for number in reader] == [0, 1, 2]
    assert source.closed.is_set()
    assert await anext(reader, None) is None
    await reader.aclose()


async def test_what_the_stream_raises_comes_after_what_it_gave() -> None:
    reader = Reader(Source(1, error=LookupError("no more")).numbers(), "numbers")
    assert await anext(reader) == 0
    with pytest.raises(LookupError, match="no more"):
        await anext(reader)
    assert await anext(reader, None) is None
    await reader.aclose()


async def test_closing_it_closes_the_stream_which_is_not_read_far_ahead() -> None:
    source = Source(1_000)
    async with contextlib.aclosing(Reader(source.numbers(), "numbers")) as reader:
        assert await anext(reader) == 0
    assert source.closed.is_set()
    assert source.given <= 3
    assert await anext(reader, None) is None


@in_virtual_time
async def test_a_stream_that_does_not_close_is_told_of_and_left_to_itself() -> None:
    source = Source(1_000, closing=60.0)
    reader = Reader(source.numbers(), "numbers")
    assert await anext(reader) == 0
    begun = virtual_loop().time()
    with capture_logs() as logs:
        await reader.aclose()
    assert virtual_loop().time() - begun == pytest.approx(CLOSE_SECONDS, abs=0.1)
    assert [(entry["event"], entry["stream"]) for entry in logs] == [("stream.left_open", "numbers")]
    await source.closed.wait()


@pytest.mark.parametrize("ends", [True, False])
async def test_a_stream_that_does_not_hear_that_it_is_cancelled_is_closed_with_its_next_item(*, ends: bool) -> None:
    closed, go_on = asyncio.Event(), asyncio.Event()

    async def numbers() -> AsyncGenerator[int, None]:
        try:
            yield 0
            yield 1
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            await go_on.wait()
            if not ends:
                yield 2
        finally:
            closed.set()

    reader = Reader(numbers(), "numbers")
    assert await anext(reader) == 0
    go_on.set()
    await asyncio.sleep(0)
    with capture_logs() as logs:
        await reader.aclose()
    assert (closed.is_set(), logs) == (True, [])


async def test_a_fault_in_closing_is_told_of() -> None:
    async def numbers() -> AsyncGenerator[int, None]:
        try:
            for number in range(100):
                yield number
        finally:
            raise OSError("the connection is gone")

    reader = Reader(numbers(), "numbers")
    assert await anext(reader) == 0
    with capture_logs() as logs:
        await reader.aclose()
    assert [entry["event"] for entry in logs] == ["stream.not_closed"]
    assert await anext(reader, None) is None
