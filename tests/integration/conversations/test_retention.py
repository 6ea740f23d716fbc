"""What is erased of conversations, when, and what stays."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from greenline.agents import deletion
from greenline.agents import service as agents
from greenline.agents.brought import bring, read_agent
from greenline.agents.models import AgentChanges, AgentDefinition
from greenline.clock import ManualClock
from greenline.conversations import service
from greenline.conversations.events import (
    AgentMessage,
    Delivery,
    Ended,
    Erased,
    Feedback,
    Remembered,
    Resumed,
    Summarised,
    ToolCalled,
    UserMessage,
)
from greenline.conversations.files import file_key
from greenline.conversations.retention import Retention
from greenline.conversations.views import ConversationView
from greenline.settings import Settings
from greenline.store.objects import FolderObjects, open_objects
from greenline.store.pool import Pool
from support.bucket import bucket
from support.database import all_text
from support.files import save_file
from support.journal import BEGIN, Timed, projection, started, write
from support.rows import NUMBER, WORKSPACE, insert_account, insert_workspace
from support.wait import until

PERSON = "4917012345678"
CHAT = f"{NUMBER}:{PERSON}"
WORDS = "My secret is 42"
DAY = timedelta(days=1)
DELIVERED = {"code": 131026, "title": "Undeliverable", "details": WORDS}
SAID: list[Timed] = [
    (1, UserMessage(id="u1", text=WORDS, wamid="wamid.1", file_ids=("file_a", "file_b"))),
    (2, AgentMessage(id="a1", text=f"Not {WORDS}", outbox_ids=("out_1",), model="m", usage={"input": 3})),
    (2, ToolCalled(message_id="a1", request_id="r1", name="end_call", params={"reason": WORDS})),
    (3, Delivery(outbox_id="out_1", state="failed", error=DELIVERED)),
    (4, Ended(reason=f"end_call tool was called: {WORDS}")),
    (5, Summarised(title=WORDS, summary=WORDS, model="m")),
]


@pytest.fixture(autouse=True)
async def number(pool: Pool, clock: ManualClock) -> None:
    await insert_workspace(pool, clock.now())
    await insert_account(pool, clock.now())


@pytest.fixture
def retention(pool: Pool, clock: ManualClock, tmp_path: Path) -> Retention:
    return Retention(pool, clock, FolderObjects(tmp_path))


def keeps(days: int, *, transcript: bool = True, audio: bool = False, existing: bool = False) -> dict[str, Any]:
    privacy = {
        "retention_days": days,
        "delete_transcript_and_pii": transcript,
        "delete_audio": audio,
        "apply_to_existing_conversations": existing,
    }
    return {"privacy": privacy}


async def create_agent(pool: Pool, clock: ManualClock, **policy: Any) -> str:
    definition = AgentDefinition.model_validate({"platform_settings": keeps(**policy)} if policy else {})
    return await agents.create(pool, clock, WORKSPACE, definition)


async def change(pool: Pool, clock: ManualClock, agent_id: str, **policy: Any) -> None:
    await agents.update(pool, clock, WORKSPACE, agent_id, AgentChanges(platform_settings=keeps(**policy)))


async def converse(pool: Pool, agent_id: str, conversation_id: str = "conv_1", **columns: Any) -> None:
    """A conversation that ended four seconds after its start."""
    row = projection(conversation_id, agent_id=agent_id, chat_id=CHAT, **columns)
    begun = started(
        row,
        variables={"name": WORDS, "system__caller_id": PERSON},
        sealed_variables={"secret__a": "x"},
        knowledge=(WORDS,),
    )
    answered = Resumed(variables={"system__time": WORDS}, summary=WORDS)
    await write(
        pool, row, [(0, begun), (0, answered), *SAID], title=WORDS, summary=WORDS, initiation={"user_id": WORDS}
    )


async def read(pool: Pool, conversation_id: str = "conv_1") -> ConversationView:
    return await service.get(pool, WORKSPACE, conversation_id, link=lambda file: "")


async def test_a_transcript_goes_with_everything_that_repeats_it(
    pool: Pool, clock: ManualClock, retention: Retention, tmp_path: Path
) -> None:
    agent_id = await create_agent(pool, clock, days=3)
    await converse(pool, agent_id)
    await service.rate(pool, clock, WORKSPACE, "conv_1", Feedback(rating=2, comment=WORDS))
    await pool.execute(
        """insert into outbox(id, workspace_id, phone_number_id, chat_id, conversation_id, kind, body, state, due_at,
             created_at) values ('out_1', $1, $2, 'c', 'conv_1', 'text', $3, 'failed', $4, $4)""",
        WORKSPACE, NUMBER, {"text": {"body": WORDS}}, BEGIN,
    )  # fmt: skip
    await pool.execute(
        """insert into inbox(workspace_id, dedupe, mailbox_id, kind, payload, received_at, done_at)
           values ($1, 'wamid.1', 'c', 'message', $2, $3, $3)""",
        WORKSPACE, {"text": WORDS, "from": PERSON}, BEGIN,
    )  # fmt: skip
    later = projection("conv_2", agent_id=agent_id, chat_id=CHAT, started_at=BEGIN + DAY, user_id=None)
    memory = Remembered(role="user", text=WORDS, at=BEGIN)
    await write(pool, later, [(0, started(later, remembered=(memory,), summary=WORDS))], chat_id=CHAT)
    for file_id, mime_type in (("file_a", "image/png"), ("file_b", "audio/ogg")):
        objects = FolderObjects(tmp_path)
        await save_file(pool, objects, b"x", BEGIN, filename=WORDS, mime_type=mime_type, file_id=file_id)

    clock.advance(3 * DAY)
    assert await retention.enforce() == 0  # the conversation ended four seconds later
    due = (await read(pool)).metadata.deletion_settings
    assert (due.deletion_time_unix_secs, due.deleted_transcript_at_time_unix_secs) == (
        int((BEGIN + 3 * DAY).timestamp()) + 4,
        None,
    )
    clock.advance(timedelta(seconds=4))
    assert await retention.enforce() == 1
    assert await retention.enforce() == 0
    await service.rate(pool, clock, WORKSPACE, "conv_1", Feedback(rating=1, comment=WORDS))

    await pool.execute("delete from conversation_file where id = 'file_b'")  # sound is kept by these settings
    await pool.execute("update conversation set chat_id = null where id = 'conv_2'")  # which is not over
    held = await all_text(pool)
    assert (WORDS in held, PERSON in held) == (False, False)
    assert not (tmp_path / file_key(WORKSPACE, "file_a")).exists()
    assert (tmp_path / file_key(WORKSPACE, "file_b")).exists()

    found = await read(pool)
    assert (found.transcript, found.user_id, found.status) == ([], None, "done")
    assert (found.user_message_count, found.metadata.call_duration_secs) == (1, 4)
    assert found.metadata.termination_reason == "end_call tool was called"
    assert found.metadata.charging.llm_usage.irreversible_generation.model_usage["m"].input.tokens == 3
    assert found.metadata.deletion_settings.deleted_transcript_at_time_unix_secs == int(clock.now().timestamp())
    kinds = [entry.event for entry in await service.load_journal(pool, WORKSPACE, "conv_1")]
    assert [event.kind for event in kinds] == [
        "started",
        "resumed",
        "delivery",
        "ended",
        "feedback",
        "erased",
        "feedback",
    ]
    assert kinds[-3:] == [Feedback(rating=2), Erased(what="transcript"), Feedback(rating=1)]
    assert (found.metadata.feedback.type, found.metadata.feedback.rating) == ("rating", 1)


async def test_sound_goes_alone(pool: Pool, clock: ManualClock, retention: Retention, tmp_path: Path) -> None:
    await converse(pool, await create_agent(pool, clock, days=0, transcript=False, audio=True))
    for file_id, mime_type in (("file_a", "image/png"), ("file_b", "audio/ogg")):
        await save_file(pool, FolderObjects(tmp_path), b"x", BEGIN, mime_type=mime_type, file_id=file_id)
    clock.advance(timedelta(seconds=4))

    assert await retention.enforce() == 1

    found = await read(pool)
    assert found.transcript[0].message == WORDS
    assert [file.file_id for file in found.transcript[0].file_inputs] == ["file_a"]
    assert not (tmp_path / file_key(WORKSPACE, "file_b")).exists()
    settings = found.metadata.deletion_settings
    assert settings.deleted_transcript_at_time_unix_secs is None
    assert settings.deleted_audio_at_time_unix_secs == int(clock.now().timestamp())


async def test_of_an_agent_in_zero_retention_mode_nothing_is_kept(
    pool: Pool, clock: ManualClock, retention: Retention, tmp_path: Path
) -> None:
    definition = AgentDefinition.model_validate({"platform_settings": {"privacy": {"zero_retention_mode": True}}})
    agent_id = await agents.create(pool, clock, WORKSPACE, definition)
    await converse(pool, agent_id)
    for file_id, mime_type in (("file_a", "image/png"), ("file_b", "audio/ogg")):
        await save_file(pool, FolderObjects(tmp_path), b"x", BEGIN, mime_type=mime_type, file_id=file_id)
    clock.advance(timedelta(seconds=4))
    due = (await read(pool)).metadata.deletion_settings
    assert due.deletion_time_unix_secs == int(clock.now().timestamp())

    assert await retention.enforce() == 1
    assert await retention.enforce() == 0

    assert WORDS not in await all_text(pool)
    assert not any((tmp_path / file_key(WORKSPACE, file_id)).exists() for file_id in ("file_a", "file_b"))
    await agents.update(
        pool, clock, WORKSPACE, agent_id, AgentChanges(platform_settings={"privacy": {"zero_retention_mode": False}})
    )
    await converse(pool, agent_id, "conv_old")
    assert await retention.enforce() == 1, "it began when nothing was to be kept"


async def test_without_a_limit_or_an_end_nothing_goes(pool: Pool, clock: ManualClock, retention: Retention) -> None:
    await converse(pool, await create_agent(pool, clock))
    agent_id = await create_agent(pool, clock, days=0)
    row = projection("conv_open", agent_id=agent_id)
    await write(pool, row, [(0, started(row)), *SAID[:2]])
    clock.advance(10_000 * DAY)

    assert await retention.enforce() == 0


async def test_a_change_holds_for_new_conversations(pool: Pool, clock: ManualClock, retention: Retention) -> None:
    agent_id = await create_agent(pool, clock, days=30)
    await converse(pool, agent_id, "conv_old")
    clock.advance(DAY)
    await change(pool, clock, agent_id, days=2)
    await converse(pool, agent_id, "conv_new", started_at=clock.now(), accepted_at=clock.now())

    clock.advance(3 * DAY)
    assert await retention.enforce() == 1
    assert len((await read(pool, "conv_old")).transcript) > 0
    assert (await read(pool, "conv_new")).transcript == []

    clock.advance(27 * DAY)
    assert await retention.enforce() == 1


async def test_a_change_may_hold_for_all(pool: Pool, clock: ManualClock, retention: Retention) -> None:
    agent_id = await create_agent(pool, clock, days=30)
    await converse(pool, agent_id)
    clock.advance(DAY)
    await change(pool, clock, agent_id, days=20)
    await change(pool, clock, agent_id, days=1, existing=True)
    clock.advance(DAY)

    assert await retention.enforce() == 1


async def test_the_promise_outlives_the_agent(pool: Pool, clock: ManualClock, retention: Retention) -> None:
    agent_id = await create_agent(pool, clock, days=2)
    await converse(pool, agent_id)
    await deletion.delete(pool, clock, WORKSPACE, agent_id)
    clock.advance(3 * DAY)

    assert await retention.enforce() == 1


async def test_an_agent_that_is_brought_again_after_it_was_deleted_keeps_what_it_says(
    pool: Pool, clock: ManualClock, retention: Retention
) -> None:
    exported = {"platform_settings": keeps(days=2)}
    agent_id = (await bring(pool, clock, WORKSPACE, read_agent(exported, [], []))).agent_id
    await converse(pool, agent_id, "conv_1")
    clock.advance(timedelta(hours=1))
    await change(pool, clock, agent_id, days=100)
    await deletion.delete(pool, clock, WORKSPACE, agent_id)
    clock.advance(timedelta(hours=1))
    assert (await bring(pool, clock, WORKSPACE, read_agent(exported, [], []))).agent_id == agent_id
    await converse(pool, agent_id, "conv_2", started_at=clock.now())
    clock.advance(3 * DAY)

    assert await retention.enforce() == 2


async def test_one_that_can_not_be_erased_holds_up_no_other(
    pool: Pool, clock: ManualClock, retention: Retention, tmp_path: Path
) -> None:
    agent_id = await create_agent(pool, clock, days=0)
    await converse(pool, agent_id, "conv_1")
    await converse(pool, agent_id, "conv_2")
    await save_file(pool, FolderObjects(tmp_path), b"x", BEGIN, mime_type="image/png", file_id="file_a")
    path = tmp_path / file_key(WORKSPACE, "file_a")
    path.unlink()
    path.mkdir()
    clock.advance(DAY)

    assert await retention.enforce() == 1
    assert (await read(pool, "conv_1")).transcript != []
    path.rmdir()
    assert await retention.enforce() == 1


async def test_a_storage_that_refuses_is_told_of_in_a_line_whatever_waits_for_it(
    pool: Pool, clock: ManualClock, settings: Settings
) -> None:
    """Each conversation had a trace of calls, hundreds of them every five minutes."""
    agent_id = await create_agent(pool, clock, days=3)
    async with bucket() as storage:
        objects = open_objects(settings.model_copy(update={"recordings_url": "s3://files"}))
        retention = Retention(pool, clock, objects)
        for number in range(3):
            await converse(pool, agent_id, f"conv_{number}")
            await save_file(pool, objects, b"x", BEGIN, conversation_id=f"conv_{number}", mime_type="image/png")
        clock.advance(4 * DAY)
        storage.refuse = 403
        with capture_logs() as logs:
            assert await retention.enforce() == 0
            storage.refuse = None
            assert await retention.enforce() == 3
    [told] = [line for line in logs if line["log_level"] in ("warning", "error")]
    assert (told["event"], told["others"], "exc_info" in told) == ("retention.not_erased", 2, False)
    assert "bucket" in told["error"]


async def test_it_looks_again_and_again(pool: Pool, clock: ManualClock, retention: Retention) -> None:
    await converse(pool, await create_agent(pool, clock, days=0))
    retention.start()
    try:
        assert retention.state() == {"retention": True}
        clock.advance(DAY)

        async def erased() -> bool:
            clock.advance(timedelta(minutes=5))
            return not (await read(pool)).transcript

        await until(erased)
    finally:
        await retention.stop(1.0)
    assert retention.state() == {"retention": False}


async def test_a_brought_agent_goes_with_the_last_transcript_of_its_conversations(
    pool: Pool, clock: ManualClock, retention: Retention
) -> None:
    exported = {"platform_settings": keeps(days=2)}
    agent = await bring(pool, clock, WORKSPACE, read_agent({"name": "Used", **exported}, [], []))
    unused = await bring(pool, clock, WORKSPACE, read_agent({"name": "Unused"}, [], []))
    adopted = await bring(pool, clock, WORKSPACE, read_agent({"name": "Adopted"}, [], []))
    await agents.update(pool, clock, WORKSPACE, adopted.agent_id, AgentChanges(platform_settings={"archived": False}))
    row = projection(workspace_id=WORKSPACE, agent_id=agent.agent_id, version_id=agent.id, started_at=clock.now())
    await write(pool, row, [(0, started(row)), (1, Ended(reason="Bye"))])
    await retention.enforce()
    assert await names(pool) == ["Adopted", "Unused", "Used"]
    clock.advance(DAY / 2)
    assert await bring(pool, clock, WORKSPACE, read_agent({"name": "Unused"}, [], [])) == unused
    clock.advance(DAY / 2)
    await retention.enforce()
    assert await names(pool) == ["Adopted", "Unused", "Used"]
    clock.advance(DAY / 2)
    await retention.enforce()
    assert await names(pool) == ["Adopted", "Used"]
    clock.advance(DAY)
    await retention.enforce()
    assert await names(pool) == ["Adopted"]


async def names(pool: Pool) -> list[str]:
    return [row["name"] for row in await pool.fetch("select name from agent order by name")]
