"""Which part of a recording a request asks for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from starlette.responses import StreamingResponse

from greenline.api.ranges import Unsatisfiable, ranged, wanted_range

BYTES = bytes(range(100))


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None),
        ("", None),
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=90-500", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-500", (0, 100)),
        ("bytes=5-2", None),
        ("bytes=0-1,5-6", None),
        ("bytes=-", None),
        ("seconds=0-1", None),
        (f"bytes=0-{'9' * 5000}", None),
        (f"bytes={'9' * 5000}-", None),
        (f"bytes=-{'9' * 5000}", None),
    ],
)
def test_a_single_range_is_understood_and_others_are_passed_over(
    header: str | None, part: tuple[int, int] | None
) -> None:
    assert wanted_range(header, 100) == part


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=500-600", "bytes=-0"])
def test_a_part_behind_the_end_does_not_exist(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        wanted_range(header, 100)


async def read(start: int, end: int) -> AsyncIterator[bytes]:
    for at in range(start, end, 7):
        yield BYTES[at : min(at + 7, end)]


async def answer(**request: str) -> tuple[int, dict[str, str], bytes]:
    headers = {name.replace("_", "-"): value for name, value in request.items()}
    response = await ranged(read, 100, headers, media_type="audio/mpeg", etag='"v1"', headers={"x": "y"})
    body = response.body if not isinstance(response, StreamingResponse) else b""
    if isinstance(response, StreamingResponse):
        body = b"".join([bytes(piece) async for piece in response.body_iterator if not isinstance(piece, str)])
    return response.status_code, dict(response.headers), bytes(body)


async def test_the_whole_and_parts_are_told_apart() -> None:
    status, headers, body = await answer()
    assert (status, body, headers["content-length"], headers["accept-ranges"]) == (200, BYTES, "100", "bytes")
    status, headers, body = await answer(range="bytes=10-19")
    assert (status, body, headers["content-range"]) == (206, BYTES[10:20], "bytes 10-19/100")
    status, headers, body = await answer(range="bytes=200-")
    assert (status, body, headers["content-range"]) == (416, b"", "bytes */100")


async def test_a_part_of_another_version_is_not_given() -> None:
    assert (await answer(range="bytes=10-19", if_range='"v1"'))[0] == 206
    assert (await answer(range="bytes=10-19", if_range='"v0"'))[2] == BYTES
