from __future__ import annotations

import pytest

from greenline.speech.buffered import MAX_UTTERANCE_SECONDS, BufferedStream
from greenline.speech.errors import RecognitionError


def stream() -> BufferedStream:
    async def hex_of(pcm: bytes) -> str:
        return pcm.hex()

    return BufferedStream("test", hex_of)


async def test_an_utterance_is_what_was_pushed_since_the_last() -> None:
    one = stream()
    one.push(b"\1\2")
    one.push(b"\3\4")
    assert await one.finish() == "01020304"
    one.push(b"\5\6")
    assert await one.finish() == "0506"


async def test_nothing_pushed_is_nothing_said() -> None:
    assert await stream().finish() == ""


async def test_an_endless_utterance_is_refused_and_the_next_one_heard() -> None:
    one = stream()
    for _ in range(MAX_UTTERANCE_SECONDS + 1):
        one.push(bytes(32_000))
    with pytest.raises(RecognitionError, match="longer than 600 seconds"):
        await one.finish()
    one.push(b"\1\2")
    assert await one.finish() == "0102"


async def test_there_are_no_hints() -> None:
    assert [hint async for hint in stream().hints()] == []
