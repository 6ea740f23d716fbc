"""Recordings are found while their conversation has them, and go with it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from greenline.agents import service as agents
from greenline.agents.models import AgentDefinition
from greenline.clock import ManualClock
from greenline.conversations import service
from greenline.conversations.events import Ended
from greenline.conversations.models import NoAudio
from greenline.conversations.recordings import find_recording, keep_recording, object_key, over, read_recording
from greenline.conversations.retention import Retention
from greenline.store.objects import FolderObjects, ObjectMissing
from greenline.store.pool import Pool
from support.journal import BEGIN, projection, started, write
from support.rows import WORKSPACE, insert_workspace

MP3 = b"ID3" + bytes(1000)


@pytest.fixture(autouse=True)
async def workspace(pool: Pool, clock: ManualClock) -> None:
    await insert_workspace(pool, clock.now())


@pytest.fixture
def objects(tmp_path: Path) -> FolderObjects:
    return FolderObjects(tmp_path)


async def keep(pool: Pool, objects: FolderObjects, conversation_id: str = "conv_1") -> bool:
    return await keep_recording(
        pool, objects, WORKSPACE, conversation_id, MP3, seconds=3.5, has_user=True, has_agent=False, now=BEGIN
    )


async def converse(pool: Pool, agent_id: str = "agent_1", *, over: bool = True) -> None:
    row = projection(agent_id=agent_id, text_only=False)
    await write(pool, row, [(0, started(row)), *([(4.0, Ended(reason="Call ended"))] if over else [])])


async def lies_there(objects: FolderObjects) -> bool:
    try:
        return bool([piece async for piece in objects.read(object_key(WORKSPACE, "conv_1"), 0, 1)])
    except ObjectMissing:
        return False


async def test_a_conversation_shows_what_is_to_be_heard(pool: Pool, objects: FolderObjects) -> None:
    await converse(pool)
    before = await service.get(pool, WORKSPACE, "conv_1", link=lambda file: "")
    assert await keep(pool, objects)
    after = await service.get(pool, WORKSPACE, "conv_1", link=lambda file: "")
    assert (before.has_audio, after.has_audio) == (False, True)
    assert (after.has_user_audio, after.has_response_audio) == (True, False)


async def test_it_is_read_in_parts_and_by_its_workspace_alone(pool: Pool, objects: FolderObjects) -> None:
    await converse(pool)
    await keep(pool, objects)
    recording = await find_recording(pool, WORKSPACE, "conv_1")
    assert recording is not None
    assert recording.size_bytes == len(MP3)
    assert b"".join([piece async for piece in read_recording(objects, recording, 0, 3)]) == b"ID3"
    assert await find_recording(pool, "ws_2", "conv_1") is None
    await objects.delete(recording.object_key)
    with pytest.raises(NoAudio, match="storage"):
        await anext(read_recording(objects, recording, 0, 3))


async def test_it_goes_with_its_conversation(
    pool: Pool, clock: ManualClock, objects: FolderObjects, tmp_path: Path
) -> None:
    await converse(pool)
    await keep(pool, objects)
    assert await lies_there(objects)
    await service.delete(pool, clock, objects, WORKSPACE, "conv_1")
    assert not await lies_there(objects)
    assert await find_recording(pool, WORKSPACE, "conv_1") is None


async def test_one_that_comes_after_the_deletion_is_not_kept(pool: Pool, objects: FolderObjects) -> None:
    assert not await keep(pool, objects, "conv_1")
    assert not await lies_there(objects)


async def test_it_is_erased_at_the_end_of_its_time_and_none_comes_later(
    pool: Pool, clock: ManualClock, objects: FolderObjects, tmp_path: Path
) -> None:
    privacy = {"retention_days": 3, "delete_audio": True}
    definition = AgentDefinition.model_validate({"platform_settings": {"privacy": privacy}})
    await converse(pool, await agents.create(pool, clock, WORKSPACE, definition))
    await keep(pool, objects)
    clock.advance(timedelta(days=3, seconds=5))
    assert await Retention(pool, clock, objects).enforce() == 1
    assert not await lies_there(objects)
    assert not await keep(pool, objects)
    assert not await lies_there(objects)
    assert not (await service.get(pool, WORKSPACE, "conv_1", link=lambda file: "")).has_audio


async def test_conversations_that_run_are_told_from_those_that_are_over(pool: Pool) -> None:
    await converse(pool, over=False)
    assert await over(pool, WORKSPACE, ["conv_1", "conv_2"]) == {"conv_2"}
