"""Parts of a long answer: a player jumps into the middle of a recording (RFC 9110, section 14)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping

from starlette.responses import Response, StreamingResponse

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
"""No file has a place with more digits, and Python reads none with more than 4,300."""


class Unsatisfiable(Exception):
    """The part that was asked for begins behind the end."""


def wanted_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last of a header ``Range``; None for the whole.

    What is no single range of bytes is passed over, as the RFC says. Raises `Unsatisfiable`.
    """
    match = _RANGE.fullmatch((header or "").replace(" ", ""))
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= end:
        raise Unsatisfiable
    return start, end


async def ranged(
    read: Callable[[int, int], AsyncIterator[bytes]],
    size: int,
    request_headers: Mapping[str, str],
    *,
    media_type: str,
    etag: str,
    headers: Mapping[str, str],
) -> Response:
    """The answer to a request for a part or the whole. ``read`` gives the bytes between two places.

    What ``read`` raises before its first piece is raised here, while another answer can still be given.
    """
    common = {"accept-ranges": "bytes", "etag": etag, **headers}
    wanted = request_headers.get("range") if request_headers.get("if-range", etag) == etag else None
    try:
        part = wanted_range(wanted, size)
    except Unsatisfiable:
        return Response(status_code=416, headers={**common, "content-range": f"bytes */{size}"})
    start, end = part or (0, size)
    pieces = read(start, end)
    first = await anext(pieces, b"")

    async def body() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    common["content-length"] = str(end - start)
    if part is not None:
        common["content-range"] = f"bytes {start}-{end - 1}/{size}"
    return StreamingResponse(body(), 200 if part is None else 206, common, media_type)
