"""Files of conversations: on disk, in the database, uploaded and taken away."""

from __future__ import annotations

import asyncio
import hashlib
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
    save_file,
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
from greenline.settings import Settings
from greenline.store.objects import FolderObjects, ObjectMissing, open_objects
from greenline.store.pool import Pool
from support.bucket import bucket
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


async def upload(pool: Pool, clock: ManualClock, folder: Path, data: bytes = PDF) -> ConversationFile:
    return await uploads.upload(
        pool,
        clock,
        FolderObjects(folder),
        WORKSPACE,
        "conv_1",
        filename="../a\\b/plan.pdf",
        declared_type=None,
        data=data,
    )


async def test_a_file_is_what_was_uploaded(pool: Pool, clock: ManualClock, tmp_path: Path) -> None:
    await open_conversation(pool, clock)
    file = await upload(pool, clock, tmp_path)
    assert (file.filename, file.mime_type, file.size_bytes) == ("plan.pdf", "application/pdf", len(PDF))
    assert file.sha256 == hashlib.sha256(PDF).digest()
    assert await open_file(pool, WORKSPACE, "conv_1", file.id) == file
    assert await read_file(FolderObjects(tmp_path), file) == PDF
    assert [path.name for path in (tmp_path / "files" / WORKSPACE).iterdir()] == [file.id]


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
        await save_file(
            pool,
            FolderObjects(tmp_path),
            workspace_id=WORKSPACE,
            conversation_id="conv_1",
            filename="a",
            mime_type="text/plain",
            data=b"abc",
            now=clock.now(),
            file_id="file_same",
        )
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
    assert len(list((tmp_path / "files" / WORKSPACE).iterdir())) == 3


async def test_no_limit(pool: Pool, clock: ManualClock, tmp_path: Path) -> None:
    await open_conversation(pool, clock, max_files_per_conversation=-1)
    for _ in range(12):
        await upload(pool, clock, tmp_path)


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
    await save_file(
        pool,
        FolderObjects(tmp_path),
        workspace_id=WORKSPACE,
        conversation_id="conv_1",
        filename="a",
        mime_type="text/plain",
        data=b"abc",
        now=clock.now(),
        file_id="file_used",
    )
    file = await upload(pool, clock, tmp_path)

    await uploads.remove(pool, FolderObjects(tmp_path), WORKSPACE, "conv_1", file.id)
    with pytest.raises(FileNotFound):
        await uploads.remove(pool, FolderObjects(tmp_path), WORKSPACE, "conv_1", file.id)
    with pytest.raises(FileInUse):
        await uploads.remove(pool, FolderObjects(tmp_path), WORKSPACE, "conv_1", "file_used")
    assert [path.name for path in (tmp_path / "files" / WORKSPACE).iterdir()] == ["file_used"]
