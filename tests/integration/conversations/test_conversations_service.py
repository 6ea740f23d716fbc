"""Reading, rating and erasing conversations in Postgres."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from greenline.agents import service as agents
from greenline.agents.models import AgentDefinition
from greenline.channels.orders import Order, place
from greenline.channels.whatsapp.commit import Committer, TurnCommit
from greenline.clock import ManualClock
from greenline.conversations import service
from greenline.conversations.events import AgentMessage, Ended, Feedback, Remembered, Resumed, Summarised, UserMessage
from greenline.conversations.files import file_key
from greenline.conversations.models import ConversationNotFound
from greenline.conversations.views import ConversationView
from greenline.store.mailbox import LeaseLost, Mailboxes
from greenline.store.objects import FolderObjects
from greenline.store.pool import Pool
from greenline.store.wakeups import Wakeups
from support.files import save_file
from support.journal import BEGIN, Timed, projection, started, write
from support.rows import NUMBER, WORKSPACE, insert_account, insert_workspace

CHAT = f"{NUMBER}:4917012345678"
SAID: list[Timed] = [
    (1, UserMessage(id="u1", text="My secret is 42", wamid="wamid.1")),
    (2, AgentMessage(id="a1", text="I won't tell", outbox_ids=("out_1",))),
]


@pytest.fixture(autouse=True)
async def workspaces(pool: Pool, clock: ManualClock) -> None:
    await insert_workspace(pool, clock.now())
    await insert_workspace(pool, clock.now(), "ws_2")
    await insert_account(pool, clock.now())


async def read(pool: Pool, conversation_id: str = "conv_1", workspace_id: str = WORKSPACE) -> ConversationView:
    return await service.get(pool, workspace_id, conversation_id, link=lambda file: f"https://host/{file.id}")


async def insert_outbox(pool: Pool, outbox_id: str, state: str, conversation_id: str = "conv_1") -> None:
    body = {"type": "text", "text": {"body": "My secret is 42"}}
    await pool.execute(
        """insert into outbox(id, workspace_id, phone_number_id, chat_id, conversation_id, kind, body, state, due_at,
             created_at) values ($1, $2, $3, $4, $5, 'text', $6, $7, $8, $8)""",
        outbox_id, WORKSPACE, NUMBER, CHAT, conversation_id, body, state, BEGIN,
    )  # fmt: skip


async def everything_stored(pool: Pool) -> str:
    """All rows of all tables that hold what was said, as text."""
    tables = ("conversation", "conversation_event", "conversation_file", "outbox", "inbox", "turn_step")
    rows = [row for table in tables for row in await pool.fetch(f"select t::text as line from {table} t")]
    return "\n".join(row["line"] for row in rows)


async def test_a_conversation_shows_its_agent(pool: Pool, clock: ManualClock) -> None:
    agent_id = await agents.create(pool, clock, WORKSPACE, AgentDefinition(), name="Shop")
    version = await agents.live_version(pool, WORKSPACE, agent_id)
    row = projection(agent_id=agent_id, branch_id=version.branch_id, version_id=version.id)
    await write(pool, row, [(0, started(row)), *SAID, (3, Ended(reason="done"))], summary="A secret", title="Secret")

    found = await read(pool)
    assert (found.agent_id, found.agent_name, found.version_id) == (agent_id, "Shop", version.id)
    assert [turn.message for turn in found.transcript] == ["My secret is 42", "I won't tell"]
    assert found.analysis is not None
    assert (found.analysis.transcript_summary, found.analysis.call_successful) == ("A secret", "success")
    assert found.metadata.features_usage.file_input.enabled is True

    await pool.execute("delete from agent where id = $1", agent_id)
    found = await read(pool)
    assert (found.agent_id, found.agent_name) == (agent_id, None)
    assert found.metadata.features_usage.file_input.enabled is False


async def test_an_open_conversation_has_no_analysis(pool: Pool) -> None:
    await write(pool, projection(), SAID)
    found = await read(pool)
    assert (found.status, found.analysis) == ("in-progress", None)


async def test_another_workspace_sees_nothing(pool: Pool, clock: ManualClock, tmp_path: Path) -> None:
    await write(pool, projection(), SAID)
    with pytest.raises(ConversationNotFound):
        await read(pool, workspace_id="ws_2")
    with pytest.raises(ConversationNotFound):
        await service.get_summary(pool, "ws_2", "conv_1", 40)
    with pytest.raises(ConversationNotFound):
        await service.rate(pool, clock, "ws_2", "conv_1", Feedback(score="like"))
    with pytest.raises(ConversationNotFound):
        await service.delete(pool, clock, FolderObjects(tmp_path), "ws_2", "conv_1")
    assert len((await read(pool)).transcript) == 2


async def test_a_summary_has_the_messages_when_they_are_few(pool: Pool) -> None:
    await write(pool, projection(), SAID)
    few = await service.get_summary(pool, WORKSPACE, "conv_1", 2)
    assert few.messages is not None
    assert [(message.role, message.message) for message in few.messages] == [
        ("user", "My secret is 42"),
        ("agent", "I won't tell"),
    ]
    many = await service.get_summary(pool, WORKSPACE, "conv_1", 1)
    assert (many.messages, many.messages_omitted, many.message_count) == (None, True, 2)


async def test_ratings_at_once_each_get_a_place_in_the_journal(pool: Pool, clock: ManualClock) -> None:
    await write(pool, projection(), SAID)
    scores: list[Any] = ["like", "dislike", None, "like"] * 5
    await asyncio.gather(*(service.rate(pool, clock, WORKSPACE, "conv_1", Feedback(score=score)) for score in scores))

    entries = await service.load_journal(pool, WORKSPACE, "conv_1")
    assert [entry.seq for entry in entries] == list(range(1, 23))
    assert sum(entry.event.kind == "feedback" for entry in entries) == 20
    last = entries[-1].event
    assert last.kind == "feedback"
    assert (await read(pool)).metadata.feedback.overall_score == last.score
    assert await pool.fetchval("select last_seq from conversation") == 22


async def test_a_rating_is_taken_back(pool: Pool, clock: ManualClock) -> None:
    await write(pool, projection(), SAID)
    await service.rate(pool, clock, WORKSPACE, "conv_1", Feedback(score="dislike"))
    assert (await read(pool)).metadata.feedback.dislikes == 1
    await service.rate(pool, clock, WORKSPACE, "conv_1", Feedback())
    feedback = (await read(pool)).metadata.feedback
    assert (feedback.type, feedback.overall_score, feedback.likes, feedback.dislikes) == (None, None, 0, 0)


async def test_a_rating_of_one_to_five_takes_the_place_of_a_thumb(pool: Pool, clock: ManualClock) -> None:
    await write(pool, projection(), SAID)
    await service.rate(pool, clock, WORKSPACE, "conv_1", Feedback(score="like"))
    await service.rate(pool, clock, WORKSPACE, "conv_1", Feedback(rating=2, comment="Too slow."))
    found = await read(pool)
    feedback = found.metadata.feedback
    assert (feedback.type, feedback.rating, feedback.comment) == ("rating", 2, "Too slow.")
    assert (feedback.overall_score, feedback.likes) == (None, 0)
    await service.rate(pool, clock, WORKSPACE, "conv_1", Feedback())
    assert (await service.find(pool, WORKSPACE, "conv_1")).rating is None


async def test_nothing_of_what_was_said_survives_deletion(pool: Pool, clock: ManualClock, tmp_path: Path) -> None:
    row = projection(chat_id=CHAT)
    summary = Summarised(title="t", summary="The secret is 42", model="m")
    await write(pool, row, [*SAID, (3, Ended(reason="done")), (4, summary)], summary="The secret is 42")
    later = projection("conv_2", chat_id=CHAT)
    memory = (
        Remembered(role="user", text="My secret is 42", at=BEGIN),
        Remembered(role="user", text="Good morning", at=BEGIN),
    )
    began = started(later, remembered=memory, summary="The secret is 42")
    await write(pool, later, [(0, began), (1, UserMessage(id="u2", text="Again me"))])
    called = projection("conv_3", chat_id=CHAT, direction="outbound")
    answered = Resumed(remembered=memory, summary="The secret is 42")
    await write(pool, called, [(0, started(called)), (1, answered)])
    await insert_outbox(pool, "out_1", "delivered")
    await insert_outbox(pool, "out_2", "queued")
    await insert_outbox(pool, "out_other", "queued", "conv_2")
    await pool.execute("update outbox set body = '{\"a\": 1}' where id = 'out_other'")
    await pool.execute(
        """insert into inbox(workspace_id, dedupe, mailbox_id, kind, payload, received_at, done_at)
           values ($1, 'wamid.1', $2, 'message', '{"text": "My secret is 42"}', $3, $3)""",
        WORKSPACE, CHAT, BEGIN,
    )  # fmt: skip
    file = await save_file(pool, FolderObjects(tmp_path), b"42", BEGIN, filename="42.txt")
    await pool.execute("update conversation set status = 'in-progress' where id = 'conv_1'")
    await place(pool, clock, WORKSPACE, "conv_1", Order("send_human_message", "It is 42 indeed"))

    await service.delete(pool, clock, FolderObjects(tmp_path), WORKSPACE, "conv_1")

    assert "42" not in (await everything_stored(pool)).replace("conv_2", "")
    assert not (tmp_path / file_key(WORKSPACE, file.id)).exists()
    with pytest.raises(ConversationNotFound):
        await read(pool)
    states = {row["id"]: row["state"] for row in await pool.fetch("select id, state from outbox")}
    assert states == {"out_1": "delivered", "out_2": "failed", "out_other": "queued"}
    assert await pool.fetchval("select count(*) from inbox") == 0
    assert await pool.fetchval("select digest from erased_event") == hashlib.sha256(b"wamid.1").digest()
    kept = await service.load_journal(pool, WORKSPACE, "conv_2")
    assert [getattr(entry.event, "text", "") for entry in kept] == ["", "Again me"]
    assert kept[0].event == started(later, remembered=memory[1:])
    kept = await service.load_journal(pool, WORKSPACE, "conv_3")
    assert kept[1].event == Resumed(remembered=memory[1:])


@pytest.mark.parametrize("has_effect", [False, True])
async def test_deletion_stops_the_turn_that_would_bring_it_back(
    pool: Pool, dsn: str, clock: ManualClock, tmp_path: Path, has_effect: bool
) -> None:
    row = await write(pool, projection(chat_id=CHAT), SAID)
    await pool.execute(
        "insert into mailbox(id, workspace_id, kind, due_at) values ($1, $2, 'chat', $3)", CHAT, WORKSPACE, BEGIN
    )
    mailboxes = Mailboxes(pool, lease_seconds=15)
    (claim,) = await mailboxes.claim("worker", "chat", clock.now(), 1)
    await pool.execute(
        "insert into turn_step values ($1, 1, $2, '{}', 'model', $3, '{}', $4)", CHAT, WORKSPACE, has_effect, BEGIN
    )
    turn = TurnCommit(claim, clock.now())
    turn.record(row, AgentMessage(id="a9", text="Too late"))

    await service.delete(pool, clock, FolderObjects(tmp_path), WORKSPACE, "conv_1")

    with pytest.raises(LeaseLost):
        await Committer(pool, Wakeups(dsn), clock).commit(turn)
    assert await pool.fetchval("select count(*) from conversation") == 0
    (again,) = await mailboxes.claim("worker", "chat", clock.now(), 1)
    assert len(again.steps) == int(has_effect)  # a tool that ran must not run again, a model may


async def test_an_idle_chat_stays_idle(pool: Pool, clock: ManualClock, tmp_path: Path) -> None:
    await write(pool, projection(chat_id=CHAT), SAID)
    await pool.execute("insert into mailbox(id, workspace_id, kind) values ($1, $2, 'chat')", CHAT, WORKSPACE)
    await service.delete(pool, clock, FolderObjects(tmp_path), WORKSPACE, "conv_1")
    assert await pool.fetchval("select due_at from mailbox") is None
