"""What is too large for the database, such as recordings and files: where it lies is the operator's choice.

A key is a path of names that the server made. An object appears whole or not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from greenline.errors import ConfigurationError, Unavailable
from greenline.settings import Settings
from greenline.store.disk import write_whole

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from obstore.store import ObjectStore

PIECE_BYTES: Final = 262_144
"""Read at once: a slow reader holds no more than this in memory."""
PERSON_SECONDS: Final = 15.0
"""For the storage to take or give the files of a turn: a person waits for its answer meanwhile."""
MAX_REASON: Final = 500
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,128}(/[A-Za-z0-9_-]{1,128})+(\.[a-z0-9]{1,8})?")
_T = TypeVar("_T")


class ObjectMissing(Exception):
    """No object has this key."""


class StorageFault(Unavailable):
    """The storage of files can't be reached or refuses. Try again in a moment; the server's log says more."""

    code = "storage_unavailable"

    @property
    def reason(self) -> str:
        """For the log: what the storage said, with its address, which is nothing for clients."""
        said = re.split(r"[\n<]", str(self.__cause__ or ""))[0].strip()  # behind it: what S3 repeats of the request
        return f"{self.message} {said}".strip()[:MAX_REASON]


class Objects(Protocol):
    """Where objects lie. Every method raises `StorageFault` when that place fails."""

    async def put(self, key: str, data: bytes) -> None:
        """Return when ``data`` is kept for good; what was there before is replaced."""
        ...

    async def get(self, key: str) -> bytes:
        """All of its bytes. Raises `ObjectMissing`."""
        ...

    def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from ``start`` to before ``end``, in pieces. Raises `ObjectMissing`."""
        ...

    async def delete(self, key: str) -> None:
        """Return when it is gone; one that is gone already is passed over."""
        ...


class FolderObjects:
    """Objects as files below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, key: str, data: bytes) -> None:
        """As `Objects.put`."""
        try:
            await asyncio.to_thread(write_whole, self._path(key), data)
        except OSError as error:
            raise StorageFault(f"{key} can't be written: {error.strerror}.") from error

    async def get(self, key: str) -> bytes:
        """As `Objects.get`."""
        return await asyncio.to_thread(_read, self._path(key), 0, -1)

    async def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """As `Objects.read`."""
        while start < end:
            piece = await asyncio.to_thread(_read, self._path(key), start, min(PIECE_BYTES, end - start))
            if not piece:
                raise StorageFault(f"{key} is shorter than it was.")
            yield piece
            start += len(piece)

    async def delete(self, key: str) -> None:
        """As `Objects.delete`."""
        try:
            await asyncio.to_thread(self._path(key).unlink, missing_ok=True)
        except OSError as error:
            raise StorageFault(f"{key} can't be deleted: {error.strerror}.") from error

    def _path(self, key: str) -> Path:
        return self._folder / _checked(key)


class BucketObjects:
    """Objects in a bucket of S3 or of a service that speaks its API."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def put(self, key: str, data: bytes) -> None:
        """As `Objects.put`."""
        from obstore import put_async

        await _from_bucket(put_async(self._store, _checked(key), data))

    async def get(self, key: str) -> bytes:
        """As `Objects.get`."""
        from obstore import get_async

        found = await _from_bucket(get_async(self._store, _checked(key)))
        return bytes(await _from_bucket(found.bytes_async()))

    async def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """As `Objects.read`."""
        from obstore import get_range_async

        for at in range(start, end, PIECE_BYTES):
            wanted = get_range_async(self._store, _checked(key), start=at, end=min(at + PIECE_BYTES, end))
            yield bytes(await _from_bucket(wanted))

    async def delete(self, key: str) -> None:
        """As `Objects.delete`."""
        from obstore import delete_async

        await _from_bucket(delete_async(self._store, _checked(key)))


class MovedObjects:
    """Objects that are put to ``place``. Those that still lie at ``before`` are read and deleted there."""

    def __init__(self, place: Objects, before: Objects) -> None:
        self._place = place
        self._before = before

    async def put(self, key: str, data: bytes) -> None:
        """As `Objects.put`."""
        await self._place.put(key, data)

    async def get(self, key: str) -> bytes:
        """As `Objects.get`."""
        try:
            return await self._place.get(key)
        except ObjectMissing:
            return await self._before.get(key)

    async def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """As `Objects.read`."""
        try:
            async for piece in self._place.read(key, start, end):
                start += len(piece)
                yield piece
        except ObjectMissing:
            async for piece in self._before.read(key, start, end):
                yield piece

    async def delete(self, key: str) -> None:
        """As `Objects.delete`."""
        await self._before.delete(key)
        await self._place.delete(key)


def open_objects(settings: Settings) -> Objects:
    """The bucket that ``recordings_url`` names, else the data directory, where older objects may lie in any case.

    Raises `ConfigurationError`.
    """
    folder = FolderObjects(settings.data_dir)
    if settings.recordings_url is None:
        return folder
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    try:
        bucket = BucketObjects(S3Store.from_url(settings.recordings_url))
    except (BaseError, ValueError) as error:
        raise ConfigurationError(
            "GREENLINE_RECORDINGS_URL is no bucket that can be opened: it is s3://bucket or s3://bucket/folder, with "
            "the variables AWS_* for its key, region and endpoint."
        ) from error
    return MovedObjects(bucket, folder)


@contextlib.asynccontextmanager
async def answering_by(deadline: float) -> AsyncIterator[None]:
    """Raises `StorageFault` where the storage has not answered by this moment of the event loop's time."""
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError as error:
        raise StorageFault("The storage of files did not answer in time.") from error


async def _from_bucket(answer: Awaitable[_T]) -> _T:
    from obstore.exceptions import BaseError, NotFoundError

    try:
        return await answer
    except (NotFoundError, FileNotFoundError) as error:
        raise ObjectMissing from error
    except (BaseError, OSError) as error:
        raise StorageFault(
            f"The bucket of files and recordings refuses or can't be reached: {type(error).__name__}."
        ) from error


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError("not a key of the server's making")
    return key


def _read(path: Path, start: int, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(size)
    except FileNotFoundError as error:
        raise ObjectMissing from error
    except OSError as error:
        raise StorageFault(f"{path.name} can't be read: {error.strerror}.") from error
