"""What pages of any site may read, though nothing behind the limits of the API has seen the request."""

from __future__ import annotations

import httpx2
import pytest
from starlette.responses import Response

from greenline.api.middleware import Limited
from greenline.api.pages import Readable
from greenline.settings import Settings


@pytest.mark.parametrize(
    ("path", "readable"),
    [
        ("/v1/convai/conversations/conv_1/files", True),
        ("/v1/convai/conversations/conv_1/files/file_1", False),
        ("/v1/convai/conversations/conv_1", False),
        ("/v1/convai/agents", False),
    ],
)
@pytest.mark.parametrize(("size", "status"), [(10, 200), (1000, 413)])
async def test_a_page_is_told_that_its_file_is_too_large(path: str, readable: bool, size: int, status: int) -> None:
    app = Readable(Limited(Response(), Settings(upload_max_bytes=500)))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://server") as http:
        answer = await http.post(path, content=bytes(size), headers={"content-type": "multipart/form-data"})
    assert answer.status_code == status
    assert ("access-control-allow-origin" in answer.headers) is readable
