"""A bucket on loopback that speaks as much of S3 as objects need.

Put, whole or in parts, get with a range, delete of a list.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

import pytest
from aiohttp import web

from support.wait import eventually


@dataclass
class Bucket:
    """``refuse`` answers everything with that status, ``refuse_part`` the part of that number. Nothing is answered
    while ``answers`` is not set.

    ``uploads`` are those in parts that are neither complete nor given up, by their id.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    refuse: int | None = None
    refuse_part: int | None = None
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0
    """Requests that are not answered yet."""
    _begun: int = 0
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        """Answer as S3 would."""
        assert "AWS4-HMAC-SHA256" in request.headers["authorization"]
        self.waiting += 1
        try:
            await self.answers.wait()
        finally:
            self.waiting -= 1
        if self.refuse is not None:
            return web.Response(status=self.refuse, text="<Error><Code>AccessDenied</Code></Error>")
        body = await request.read()
        if "uploads" in request.query or "uploadId" in request.query:
            return self._in_parts(request, body)
        if request.method == "PUT":
            self.objects[request.path] = body
            return web.Response(headers={"etag": '"1"'})
        if request.method == "POST":
            return self._delete(request.path, body.decode())
        return self._get(request)

    def _in_parts(self, request: web.Request, body: bytes) -> web.Response:
        if "uploads" in request.query:
            self._begun += 1
            self.uploads[f"upload_{self._begun}"] = {}
            return web.Response(text=_initiated(request.path, f"upload_{self._begun}"))
        upload_id = request.query["uploadId"]
        if request.method == "DELETE":
            del self.uploads[upload_id]
            return web.Response(status=204)
        if request.method == "POST":
            named = [int(number) for number in re.findall("<PartNumber>(.*?)</PartNumber>", body.decode())]
            parts = self.uploads.pop(upload_id)
            assert named == sorted(parts)
            self.objects[request.path] = b"".join(parts[number] for number in named)
            return web.Response(
                text='<CompleteMultipartUploadResult><ETag>"1"</ETag></CompleteMultipartUploadResult>'
            )
        number = int(request.query["partNumber"])
        if number == self.refuse_part:
            return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")
        self.uploads[upload_id][number] = body
        return web.Response(headers={"etag": f'"{number}"'})

    def _delete(self, bucket: str, body: str) -> web.Response:
        keys = re.findall("<Key>(.*?)</Key>", body)
        for key in keys:
            self.objects.pop(f"{bucket}/{key}", None)
        gone = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        return web.Response(text=f"<DeleteResult>{gone}</DeleteResult>")

    def _get(self, request: web.Request) -> web.Response:
        found = self.objects.get(request.path)
        if found is None:
            return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")
        part = request.http_range
        start, stop = part.start or 0, min(part.stop or len(found), len(found))
        headers = {
            "content-range": f"bytes {start}-{stop - 1}/{len(found)}",
            "etag": '"1"',
            "last-modified": "Mon, 05 Jan 2026 09:00:00 GMT",
        }
        return web.Response(status=206, body=found[start:stop], headers=headers)


def _initiated(path: str, upload_id: str) -> str:
    _, bucket, key = path.split("/", 2)
    named = f"<Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>{upload_id}</UploadId>"
    return f"<InitiateMultipartUploadResult>{named}</InitiateMultipartUploadResult>"


@contextlib.contextmanager
def bucket_key(url: str) -> Iterator[None]:
    """The environment of a server that may use the bucket."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_REGION", "eu-central-1")
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setenv("AWS_ALLOW_HTTP", "true")
        yield


@contextlib.asynccontextmanager
async def bucket() -> AsyncIterator[Bucket]:
    """A bucket, and the environment to use it, until the block ends."""
    served = Bucket()
    served.answers.set()
    application = web.Application(client_max_size=100_000_000)
    application.router.add_route("*", "/{path:.*}", served.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        with bucket_key(served.url):
            yield served
    finally:
        served.answers.set()
        await eventually(lambda: not served.waiting)
        await runner.cleanup()
