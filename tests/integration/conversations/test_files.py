"""Files of conversations: on disk, in the database, uploaded and taken away."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from greenline.agents import service as agents
from greenline.agents.models import AgentDefinition
from greenline.clock import ManualClock
from greenline.conversations import uploads
from greenline.conversations.events import Ended, UserMessage
from greenline.conversations.files import (
    ConversationFile,
    erase_orphans,
    list_files,
    open_file,
    read_file,
    read_part,
    write_file,
)
from greenline.conversations.models import (
    ConversationNotFound,
    ConversationOver,
    FileInputDisabled,
    FileInUse,
    FileNotFound,
    TooManyFiles,
)
from greenline.conversations.retention import Retention
from greenline.settings import Settings
from greenline.store.objects import FolderObjects, ObjectMissing, StorageFault, open_objects
from greenline.store.pool import Pool
from support.bucket import bucket
from support.files import save_file
from support.journal import Timed, projection, write
from support.rows import WORKSPACE, insert_workspace

PDF = b"%PDF-1.7 and more"


@pytest.fixture(autouse=True)
async def workspace(pool: Pool, clock: ManualClock) -> None:
    await insert_workspace(pool, clock.now())


async def open_conversation(pool: Pool, clock: ManualClock, *events: Timed, **file_input: object) -> None:
    definition = AgentDefinition.model_validate({"conversation_config": {"conversation": {"file_input": file_input}}})
    agent_id = await agents.create(pool, clock, WORKSPACE, definition)
    version = await agents.live_version(pool, WORKSPACE, agent_id)
    await write(pool, projection(agent_id=agent_id, version_id=version.id), events)


class Storage(FolderObjects):
    """A folder that something happens to while a file is written to it."""

    def __init__(self, folder: Path, meanwhile: Callable[[], Awaitable[None]]) -> None:
        super().__init__(folder)
        self._meanwhile = meanwhile

    async def put(self, key: str, data: bytes) -> None:
        await super().put(key, data)
        await self._meanwhile()


async def upload(
    pool: Pool, clock: ManualClock, folder: Path, data: bytes = PDF, *, objects: FolderObjects | None = None
) -> ConversationFile:
    return await uploads.upload(
        pool,
        clock,
        objects or FolderObjects(folder),
        WORKSPACE,
        "conv_1",
        filename="../a\\b/plan.pdf",
        declared_type=None,
        data=data,
    )


def kept(folder: Path) -> list[str]:
    """The files whose bytes are in the storage."""
    return [path.name for path in (folder / "files" / WORKSPACE).iterdir()]


async def test_a_file_is_what_was_uploaded(pool: Pool, clock: ManualClock, tmp_path: Path) -> None:
    await open_conversation(pool, clock)
    file = await upload(pool, clock, tmp_path)
    assert (file.filename, file.mime_type, file.size_bytes) == ("plan.pdf", "application/pdf", len(PDF))
    assert file.sha256 == hashlib.sha256(PDF).digest()
    assert await open_file(pool, WORKSPACE, "conv_1", file.id) == file
    assert await read_file(FolderObjects(tmp_path), file) == PDF
    assert kept(tmp_path) == [file.id]


async def test_files_lie_where_recordings_do(pool: Pool, clock: ManualClock, tmp_path: Path) -> None:
    await open_conversation(pool, clock)
    old = await upload(pool, clock, tmp_path)
    async with bucket() as served:
        objects = open_objects(Settings(data_dir=tmp_path, recordings_url="s3://calls"))
        new = await uploads.upload(
            pool, clock, objects, WORKSPACE, "conv_1", filename="b.pdf", declared_type=None, data=PDF
        )
        assert list(served.objects) == [f"/calls/files/{WORKSPACE}/{new.id}"]
        assert await read_file(objects, new) == await read_file(objects, old) == PDF
        assert [piece async for piece in read_part(objects, new, 1, 4)] == [b"PDF"]
        await uploads.remove(pool, objects, WORKSPACE, "conv_1", new.id)
        await pool.execute("insert into orphaned_file values ($1, $2)", WORKSPACE, old.id)
        await erase_orphans(pool, objects)
        assert served.objects == {}
        with pytest.raises(ObjectMissing):
            await read_file(objects, old)


async def test_a_file_belongs_to_one_conversation_of_one_workspace(
    pool: Pool, clock: ManualClock, tmp_path: Path
) -> None:
    await open_conversation(pool, clock)
    file = await upload(pool, clock, tmp_path)
    assert await open_file(pool, "ws_2", "conv_1", file.id) is None
    assert await open_file(pool, WORKSPACE, "conv_2", file.id) is None
    with pytest.raises(ConversationNotFound):
        await uploads.remove(pool, FolderObjects(tmp_path), "ws_2", "conv_1", file.id)


async def test_the_same_file_may_be_saved_again(pool: Pool, clock: ManualClock, tmp_path: Path) -> None:
    await open_conversation(pool, clock)
    for _ in range(2):
        await save_file(pool, FolderObjects(tmp_path), b"abc", clock.now(), file_id="file_same")
    assert len(await list_files(pool, WORKSPACE, "conv_1")) == 1


async def test_writers_of_one_file_leave_it_whole(tmp_path: Path) -> None:
    bodies = [bytes([value]) * 100_000 for value in range(8)]
    await asyncio.gather(*(write_file(FolderObjects(tmp_path), "ws", "file_1", body) for body in bodies))
    folder = tmp_path / "files" / "ws"
    assert (folder / "file_1").read_bytes() in bodies
    assert len(list(folder.iterdir())) == 1


async def test_the_agent_decides_how_many_files(pool: Pool, clock: ManualClock, tmp_path: Path) -> None:
    await open_conversation(pool, clock, max_files_per_conversation=3)
    outcomes = await asyncio.gather(*(upload(pool, clock, tmp_path) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(outcome, ConversationFile) for outcome in outcomes) == 3
    assert sum(isinstance(outcome, TooManyFiles) for outcome in outcomes) == 5
    assert len(kept(tmp_path)) == 3


async def test_an_agent_may_take_any_number_of_files(pool: Pool, clock: ManualClock, tmp_path: Path) -> None:
    await open_conversation(pool, clock, max_files_per_conversation=-1)
    for _ in range(12):
        await upload(pool, clock, tmp_path)
    assert len(kept(tmp_path)) == 12


async def test_an_agent_without_file_input_takes_none(pool: Pool, clock: ManualClock, tmp_path: Path) -> None:
    await open_conversation(pool, clock, enabled=False)
    with pytest.raises(FileInputDisabled):
        await upload(pool, clock, tmp_path)


async def test_a_conversation_that_is_over_takes_none(pool: Pool, clock: ManualClock, tmp_path: Path) -> None:
    await open_conversation(pool, clock, (0, Ended(reason="done")))
    with pytest.raises(ConversationOver):
        await upload(pool, clock, tmp_path)


async def test_a_file_goes_until_it_is_used(pool: Pool, clock: ManualClock, tmp_path: Path) -> None:
    await open_conversation(pool, clock, (0, UserMessage(id="u", text="", file_ids=("file_used",))))
    await save_file(pool, FolderObjects(tmp_path), b"abc", clock.now(), file_id="file_used")
    file = await upload(pool, clock, tmp_path)

    await uploads.remove(pool, FolderObjects(tmp_path), WORKSPACE, "conv_1", file.id)
    with pytest.raises(FileNotFound):
        await uploads.remove(pool, FolderObjects(tmp_path), WORKSPACE, "conv_1", file.id)
    with pytest.raises(FileInUse):
        await uploads.remove(pool, FolderObjects(tmp_path), WORKSPACE, "conv_1", "file_used")
    assert kept(tmp_path) == ["file_used"]


async def test_nothing_is_held_while_the_storage_is_slow(pool: Pool, clock: ManualClock, tmp_path: Path) -> None:
    await open_conversation(pool, clock)

    async def look() -> None:
        assert pool.get_idle_size() == pool.get_size()
        assert await pool.fetchval("select id from conversation for update nowait") == "conv_1"
        assert await list_files(pool, WORKSPACE, "conv_1") == ()

    file = await upload(pool, clock, tmp_path, objects=Storage(tmp_path, look))
    assert await list_files(pool, WORKSPACE, "conv_1") == (file,)
    assert await pool.fetchval("select count(*) from pending_upload") == 0


async def test_what_is_refused_after_it_was_written_is_erased(pool: Pool, clock: ManualClock, tmp_path: Path) -> None:
    await open_conversation(pool, clock)

    async def end() -> None:
        await pool.execute("update conversation set status = 'done'")

    with pytest.raises(ConversationOver):
        await upload(pool, clock, tmp_path, objects=Storage(tmp_path, end))
    assert kept(tmp_path) == []
    assert await pool.fetchval("select count(*) from pending_upload") == 0


async def test_the_keeper_erases_what_was_written_and_never_named(
    pool: Pool, clock: ManualClock, tmp_path: Path
) -> None:
    await open_conversation(pool, clock)
    keeper = Retention(pool, clock, FolderObjects(tmp_path))

    async def die() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await upload(pool, clock, tmp_path, objects=Storage(tmp_path, die))
    clock.advance(uploads.PATIENCE - timedelta(seconds=1))
    await keeper.enforce()
    assert len(kept(tmp_path)) == 1
    clock.advance(timedelta(seconds=1))
    await keeper.enforce()
    assert kept(tmp_path) == []


async def test_an_upload_that_was_given_up_names_no_file(pool: Pool, clock: ManualClock, tmp_path: Path) -> None:
    await open_conversation(pool, clock)

    async def take_too_long() -> None:
        clock.advance(uploads.PATIENCE)
        await Retention(pool, clock, FolderObjects(tmp_path)).enforce()

    with pytest.raises(StorageFault, match="took too long"):
        await upload(pool, clock, tmp_path, objects=Storage(tmp_path, take_too_long))
    assert await list_files(pool, WORKSPACE, "conv_1") == ()


async def test_a_file_is_taken_away_though_the_storage_is_not_there(
    pool: Pool, clock: ManualClock, tmp_path: Path
) -> None:
    await open_conversation(pool, clock)
    async with bucket() as served:
        objects = open_objects(Settings(data_dir=tmp_path, recordings_url="s3://calls"))
        file = await uploads.upload(
            pool, clock, objects, WORKSPACE, "conv_1", filename="b.pdf", declared_type=None, data=PDF
        )
        served.refuse = 403
        await uploads.remove(pool, objects, WORKSPACE, "conv_1", file.id)
        assert await list_files(pool, WORKSPACE, "conv_1") == ()
        served.refuse = None
        await erase_orphans(pool, objects)
        assert served.objects == {}
