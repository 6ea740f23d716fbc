"""Objects in the data directory and in a bucket: the same behaviour, and errors that an operator understands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from greenline.errors import ConfigurationError
from greenline.settings import Settings
from greenline.store.objects import (
    PIECE_BYTES,
    FolderObjects,
    ObjectMissing,
    Objects,
    StorageFault,
    open_objects,
)
from support.bucket import Bucket, bucket

KEY = "recordings/ws_1/conv_1.mp3"


@pytest.fixture(params=["folder", "bucket"])
async def objects(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Objects]:
    if request.param == "folder":
        yield open_objects(Settings(data_dir=tmp_path))
        return
    async with bucket():
        yield open_objects(Settings(data_dir=tmp_path, recordings_url="s3://calls/of/mine"))


async def read(objects: Objects, start: int, end: int) -> bytes:
    return b"".join([piece async for piece in objects.read(KEY, start, end)])


async def test_what_was_put_can_be_read_in_parts_until_it_is_deleted(objects: Objects) -> None:
    data = bytes(range(256)) * (PIECE_BYTES // 128)
    await objects.put(KEY, b"something older")
    await objects.put(KEY, data)
    assert await read(objects, 0, len(data)) == data
    assert await read(objects, 3, len(data) - 2) == data[3:-2]
    await objects.delete(KEY)
    with pytest.raises(ObjectMissing):
        await read(objects, 0, 1)
    await objects.delete(KEY)


@pytest.mark.parametrize("key", ["../secret.key", "/etc/passwd", "recordings", "a//b.mp3", "a/../b.mp3", ""])
async def test_only_names_of_the_servers_making_are_keys(objects: Objects, key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        await objects.put(key, b"x")


async def test_a_folder_that_cant_be_written_is_a_fault_of_the_storage(tmp_path: Path) -> None:
    (tmp_path / "recordings").write_text("no folder")
    with pytest.raises(StorageFault):
        await FolderObjects(tmp_path).put(KEY, b"x")


async def test_a_bucket_that_refuses_is_a_fault_of_the_storage() -> None:
    async with bucket() as served:
        objects = open_objects(Settings(recordings_url="s3://calls"))
        served.refuse = 403
        for attempt in (objects.put(KEY, b"x"), read(objects, 0, 1), objects.delete(KEY)):
            with pytest.raises(StorageFault) as refused:
                await attempt
            assert "secret" not in refused.value.message
            assert served.url not in refused.value.message
            assert f"{served.url}/calls" in refused.value.reason
            assert "403 Forbidden" in refused.value.reason
            assert "Debug" not in refused.value.reason


async def test_a_bucket_holds_objects_under_its_folder() -> None:
    served: Bucket
    async with bucket() as served:
        await open_objects(Settings(recordings_url="s3://calls/of/mine")).put(KEY, b"x")
        assert served.objects == {f"/calls/of/mine/{KEY}": b"x"}


async def test_all_of_it_can_be_had_at_once(objects: Objects) -> None:
    with pytest.raises(ObjectMissing):
        await objects.get("files/ws_1/file_1")
    await objects.put("files/ws_1/file_1", b"some bytes")
    assert await objects.get("files/ws_1/file_1") == b"some bytes"


async def test_what_was_kept_before_there_was_a_bucket_is_read_and_deleted_where_it_is(tmp_path: Path) -> None:
    async with bucket() as served:
        await FolderObjects(tmp_path).put(KEY, b"older")
        objects = open_objects(Settings(data_dir=tmp_path, recordings_url="s3://calls"))
        assert await objects.get(KEY) == b"older"
        assert await read(objects, 1, 4) == b"lde"
        await objects.put(KEY, b"newer")
        assert await objects.get(KEY) == b"newer"
        await objects.delete(KEY)
        assert served.objects == {}
        assert not (tmp_path / KEY).exists()
        with pytest.raises(ObjectMissing):
            await objects.get(KEY)


async def test_a_large_object_goes_to_a_bucket_in_parts() -> None:
    async with bucket() as served:
        objects = open_objects(Settings(recordings_url="s3://calls"))
        data = bytes(range(256)) * (12_000_000 // 256)
        await objects.put(KEY, data)
        assert served.objects == {f"/calls/{KEY}": data}
        assert not served.uploads
        assert await read(objects, 0, len(data)) == data


async def test_a_part_that_is_refused_leaves_nothing() -> None:
    async with bucket() as served:
        objects = open_objects(Settings(recordings_url="s3://calls"))
        served.refuse_part = 2
        with pytest.raises(StorageFault):
            await objects.put(KEY, bytes(12_000_000))
        assert (served.objects, served.uploads) == ({}, {})


@pytest.mark.parametrize("url", ["calls", "s3://", "ftp://calls"])
def test_a_url_that_names_no_bucket_stops_the_server(url: str) -> None:
    with pytest.raises(ConfigurationError, match="RECORDINGS_URL"):
        open_objects(Settings(recordings_url=url))
