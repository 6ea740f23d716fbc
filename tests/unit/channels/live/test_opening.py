"""Recognition that opens while a person speaks already, or does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from greenline.channels.live.opening import OpeningStream
from greenline.speech.buffered import BufferedStream
from greenline.speech.errors import RecognitionError
from greenline.speech.models import RecognitionStream


class Provider:
    """Opens streams that tell how much they have heard, once it has run out of faults."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.pauses: list[float] = []

    async def open(self) -> RecognitionStream:
        if self.faults:
            raise self.faults.pop(0)
        return BufferedStream("script", self._length)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def _length(self, pcm: bytes) -> str:
        return f"{len(pcm)} bytes"


@pytest.fixture
async def opened() -> AsyncIterator[list[OpeningStream]]:
    streams: list[OpeningStream] = []
    yield streams
    for stream in streams:
        await stream.aclose()


async def test_a_fault_that_no_provider_tells_of_is_recorded_with_where_it_came_from(
    opened: list[OpeningStream],
) -> None:
    provider = Provider(RecognitionError("script", "busy"), KeyError("a bug"))
    with capture_logs() as entries:
        stream = OpeningStream(provider.open, provider.sleep)
        opened.append(stream)
        stream.push(bytes(640))
        async for _ in stream.hints():
            pass
    told, bug = entries
    assert (told["log_level"], told["error"]) == ("warning", "script: busy")
    assert (bug["log_level"], bug["exc_info"]) == ("error", True)
    assert provider.pauses == [1.0, 2.0]
    assert await stream.finish() == "640 bytes"


async def test_who_is_in_a_hurry_to_close_is_not_held_up() -> None:
    """By a provider that takes its time to give up."""
    begun, leave = asyncio.Event(), asyncio.Event()

    async def open_slowly() -> RecognitionStream:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await leave.wait()
        raise AssertionError

    stream = OpeningStream(open_slowly, asyncio.sleep)
    await begun.wait()
    closing = asyncio.create_task(stream.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    leave.set()
    await stream.aclose()
